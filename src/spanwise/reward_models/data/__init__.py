"""From feedback records to labelled, tokenised and packed examples, for segments and for tokens.

A new rule of labelling goes to `labels`, its settings to `reward_models.config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
