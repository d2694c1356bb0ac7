"""Published sets of feedback in the layout of their authors: one file a set, or a family of sets.

A new set is a file here and a row in `table`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
