"""Judges of pairs of answers: language models, reward models, people. One file each behind `base.Judge`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
