"""Rounds of training and annotation, and the run folders that the app shows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
