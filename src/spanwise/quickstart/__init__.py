"""The whole loop on the simulated world, and the study that is made of it: what `spanwise quickstart` runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
