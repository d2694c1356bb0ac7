"""Language models as critics: they read an answer, write a critique, and mark the spans that it is about.

`config` has the settings, `prompting` what is asked, `reading` what an answer says and where its quotes stand, `critic`
asks about many answers and counts, `critique` makes feedback of a file of answers or of comments on them. Prompts are
texts in `prompts`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
