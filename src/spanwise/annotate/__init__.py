"""The annotation app: `store` keeps, `people` log in, `work` and `manage` decide, `exchange` and `rounds` connect, and
`web` shows; `AnnotationClient` asks a server from a program.

May import core, text and feedback alone. A new page is an endpoint in `web.routes`, a template and a script.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
