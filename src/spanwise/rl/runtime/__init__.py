"""What a run needs of its machine: budgets of memory, samplers, training states on disk, progress on the screen."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
