"""Texts: spans, the segments that are judged, the tokens that wrote them, and edits. Strings only, no torch.

A new segmenter is a function in `segments` and a row in its table `SEGMENTERS`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
