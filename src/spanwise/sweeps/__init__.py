"""Sweeps over the weights of rewards: what `spanwise sweep` runs.

`sweep.py` runs and joins settings; how a setting is trained and measured is a `SettingRunner`: one file each, `rl.py`
over a config of `spanwise rl` and `sim_settings.py` in the simulated world. Another base gets another such file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
