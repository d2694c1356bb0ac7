"""The whole loop on the simulated world, and the study that is made of it: what `spanwise quickstart` runs.

One seed trains reward models and one PPO run per arm (`study.py`); `results.py` joins seeds. A new arm gets
a name in `config.py` and, where it pays other rewards, a rule in `arm_rewards.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
