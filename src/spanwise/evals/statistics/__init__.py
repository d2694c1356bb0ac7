"""Estimates, intervals, paired comparisons, and the results that hold them. Knows no files and no pages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
