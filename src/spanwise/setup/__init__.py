"""Before the first run: a project folder made from a file of feedback, and whether a machine is ready for a config.

`material` reads and splits the file, `heads` and `plan` choose settings, `pages` writes them with their reasons,
`timing` measures how long each step will take, `project` puts the folder together. `anatomy`, `memory` and `lengths`
say what a model needs and what does not fit it, `checks` what stops a run. A new check is a function of `checks` that
yields findings.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
