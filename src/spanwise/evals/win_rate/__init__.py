"""Win rates of one policy's answers over another's: judging, length control, comparison with published files.

`judges` says who judges; a new judge is a file there and a name in its config.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
