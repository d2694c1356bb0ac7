"""Kernels for processors: attention in blocks, float32 products. `backbone` chooses them; nobody else needs to."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
