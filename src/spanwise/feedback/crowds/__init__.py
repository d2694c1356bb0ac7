"""What several people's feedback on the same responses makes likely, and how far each of them is to be trusted.

`votes.py` fits truths and people to votes, arrays alone; `annotators.py` makes votes of records, and figures, warnings
and one record an item of what was fitted. A new way to weigh votes is a row in `votes.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
