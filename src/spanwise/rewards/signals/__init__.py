"""Reward sources without a reward model of one's own: rules, log-ratios of policies, entailment, shares of a score.

A new kind is a config with its `kind` in `config`, a file here, and a branch of `foreign_sources` one room up.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
