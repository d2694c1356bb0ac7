"""Figures about feedback: counts and spreads, agreement of annotators, validation and fingerprints of edits.

Pure functions of records: no files, no models. A new figure is a function here and a row in the tables of the CLI.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
