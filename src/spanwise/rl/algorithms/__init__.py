"""Algorithms by name, one file each, and the pure tensor functions that they share.

A new algorithm is a file that names its advantage and its loss, and a row in `registry`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
