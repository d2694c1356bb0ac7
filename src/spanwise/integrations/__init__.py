"""Spanwise's token rewards inside other engines: one file an engine, and what all of them share.

An engine's file (`trl`, `verl`, `skyrl`) imports the engine and is imported by its own name, in an environment that has
it; everything offered here works without any. A new engine is a file that hands sampled ids to `IdScorer`, its rewards
to `dense_advantages`, and refuses what would lose rewards in silence.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
