"""The server: one table of endpoints, pages, security headers, the API's description.

A new endpoint is a row in a file of `routes`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
