"""Training and judging reward models: by gradient over epochs, or exactly on frozen hidden states.

`train` is the order of steps for every kind of reward model; `segments` and `tokens` are the two objectives. A new kind
is another `RewardObjective` with its config in `reward_models.config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
