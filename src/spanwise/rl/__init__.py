"""Reinforcement learning with token rewards: rollouts, updates, evaluation, one trainer blind to the algorithm.

`run` starts a run from a config; `algorithms` holds what differs between them, `runtime` what the machine needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
