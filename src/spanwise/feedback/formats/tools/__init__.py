"""What annotation tools write and read: one file a tool.

What a tool has no place for travels with its records by `carried`. A new tool is a file here and a row in `table`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
