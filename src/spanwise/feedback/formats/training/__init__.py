"""Rows that trainers read, of this library and of others: demonstrations, preferences, labels.

A new kind of rows is a file here and a row in `table`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
