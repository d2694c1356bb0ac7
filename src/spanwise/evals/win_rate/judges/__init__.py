"""Judges of pairs of answers: language models (over the chat client of `spanwise.llm`), reward models, people.

A new one is a file with a class of the form of `base.Judge`, and a `kind` in `config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
