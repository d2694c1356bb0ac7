"""What holds up elsewhere: policies on changed prompts, and reward sources on answers that deserve nothing more.

`perturbations.py` changes prompts, `probes.py` makes answers worse in ways that rewards may pay, `measure.py` holds
both against the unchanged, `run.py` is the command. A new perturbation or probe is a function and a row of its table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
