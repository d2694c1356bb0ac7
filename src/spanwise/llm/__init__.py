"""Language models as services: chats, their clients, and a book of paid replies, so that nothing is paid twice.

`keys` decides which key goes where. `editors` asks for minimal edits. A new vendor is a client in `clients`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
