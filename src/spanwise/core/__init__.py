"""What every room stands on: one error tree, typed configs, whole-or-absent files, run folders, seeded generators.

Imports nothing of Spanwise and never torch at the top. Something belongs here only when several rooms need it and it
knows neither feedback nor models. A new error is a class in `errors` with the sentence that its reader needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
