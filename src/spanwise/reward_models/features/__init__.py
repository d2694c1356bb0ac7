"""Numbers beside the hidden states: relations of words between texts, and likelihoods of tokens. No labels here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
