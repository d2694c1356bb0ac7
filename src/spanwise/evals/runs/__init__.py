"""What run folders and experiment folders say: curves, scores, trade-offs, when to stop."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
