"""Language models that answer: one chat client for editors and judges, and a book of paid replies, so that nothing is
paid twice.

`config` is the endpoint's section of every config, `chat` what is asked and answered, `clients` who is asked, `calls`
how many at a time and through which book (`replies`), `keys` which key goes where. `editors` asks for minimal edits. A
new vendor is a client in `clients` and a provider in `config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
