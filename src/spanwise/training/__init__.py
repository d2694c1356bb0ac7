"""Training a policy on texts: supervised fine-tuning and preference tuning, with their optimiser and schedule.

A new objective brings its losses and its config; loop, optimiser and processes are shared with RL.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
