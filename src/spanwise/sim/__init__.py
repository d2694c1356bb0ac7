"""The simulated world: facts, questions, writers that err, and an oracle that knows every error.

A new kind of error is written in `demonstrations` and found by `oracle`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
