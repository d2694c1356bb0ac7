"""Feedback on parts of answers: the records, their files, their kinds of error, their scores. No torch here.

`schema` is what is stored, `prompts` what models read, `scores` the contract of reward sources. Foreign files are read
in `formats`, figures computed in `statistics`. A new field of a record goes to `schema`, with its upgrade.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
