"""Reward sources that others made: models of other trainers, functions, services, classes of one's own.

A new kind is a name in `config.SourceConfig`, a file here, and a branch of `load_source`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
