"""Fixtures of the annotation tests; `annotation_doubles.py` says what they are."""

from annotation_doubles import place, world

__all__ = ["place", "world"]
