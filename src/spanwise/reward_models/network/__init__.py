"""The network: a backbone with heads, its low-rank twin on a policy's weights, its losses, its checkpoints."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
