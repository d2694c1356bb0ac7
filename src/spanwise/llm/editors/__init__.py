"""Language models that edit an answer as little as they can: prompts, validation, a report of what came back."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
