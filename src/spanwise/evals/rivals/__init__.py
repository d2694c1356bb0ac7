"""Free rivals: what a baseline policy gives for nothing, which training with rewards has to beat.

`config.py` names decodings and rivals, `decodings.py` answers under them, takes the best of n and picks what a reward
likes, `free.py` measures all rivals of one policy. A new rival is one more part of `free_rivals`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
