"""Scorers of whole texts: classifiers, n-gram tables, HTTP services.

A new one is a file with a class that implements `Scorer`, and a row in `config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
