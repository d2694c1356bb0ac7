"""Fixtures of the annotation tests; `annotation_doubles.py` says what they are."""

from doubles.annotation import place, world

__all__ = ["place", "world"]
