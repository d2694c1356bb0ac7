"""Foreign files of feedback: one file a format, with its reader, its writer, or both; pure functions, no database.

`tools` holds what annotation tools write, `corpora` published sets, `training` what trainers read. `contract` says what
readers and writers promise. A new format is a file in one of these rooms and a row in its `table`: `spanwise feedback`,
`edits`, `annotate` and Python have it then. JSON of other tools is read with `json_values`, whose offsets `offsets`
understands, and what a tool has no place for travels with its records by `carried`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
