"""Pages beside the report: trade-offs, over-optimisation, reward models. Each renders one template of `report`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
