"""Fixtures of the annotation tests; `doubles/annotation.py` says what they are."""

from doubles.annotation import place, world

__all__ = ["place", "world"]
