"""Training a policy on texts: supervised fine-tuning and preference tuning, with their optimiser and schedule.

A new way of learning is an `Objective` for the one loop in `loop.py` and a config beside the others; the optimiser with
its schedule and the processes are shared with RL. `spanwise.reward_models.fitting` brings objectives of its own.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
