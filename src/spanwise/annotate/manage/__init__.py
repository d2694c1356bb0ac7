"""What managers do with a project: find items, assign and change many at once, answer questions, watch reliability.

Everything here reads what people did or changes who does what; what an annotator does lies in `work`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
