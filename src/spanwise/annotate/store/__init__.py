"""The database of an annotation project: tables, items, annotations, the audit, upgrades and backups.

A change of tables is a migration in `migrations`; only `database` opens connections.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
