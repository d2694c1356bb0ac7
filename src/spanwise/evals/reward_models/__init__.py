"""How good reward models are: public benchmark files, bias towards length and place, hard cases."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
