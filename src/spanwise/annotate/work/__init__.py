"""What annotators and adjudicators do: claims, drafts, validation, submission, gold items, progress.

Every step checks who asks and writes in one transaction; nothing here knows HTTP.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
