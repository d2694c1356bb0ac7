"""Reward models learned from feedback: Hugging Face checkpoints with a head per category.

`data` makes labelled examples, `features` adds numbers beside the hidden states, `network` is the model, `fitting`
trains and judges it. A new head is a row in `heads` and a labelling rule in `data.labels`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
