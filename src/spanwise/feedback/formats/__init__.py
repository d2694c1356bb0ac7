"""Foreign files of feedback: one file a format, with its reader, its writer, or both.

A new format is a file here and a row in the table of `registry`; every command that reads or writes feedback has it
then.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
