"""`report.html` and what it is made of: tables, curves, answers side by side, sentences, cards.

The page is a function of run folders alone. A new section is a view in `report` and a part in `templates`;
a new page is a template that extends `page.html`, rendered by `render_page`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
