"""From reward sources to token scores: learned sources, the mixture, its projection on tokens, the pipeline of all.

A new source implements `RewardSource`; one that scores whole texts is a scorer and goes to `scorers`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
