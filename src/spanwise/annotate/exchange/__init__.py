"""Records in and out of a project, and the agreement of its annotators.

`imports` and `exports` map records to items and back by `records`; what a file of another tool says, the readers and
writers of `feedback.formats` know, so that a new format is a file and a row there and nothing here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
