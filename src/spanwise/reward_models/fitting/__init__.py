"""Training and judging reward models: by gradient over epochs, or exactly on frozen hidden states."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
