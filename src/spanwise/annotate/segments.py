"""The boundaries that spans snap to: graphemes, words, sub-sentences and sentences of a text, found by the server.

The page only snaps to these lists, so that what people mark is what training can use. Words are runs between
white space; runs in scripts that write without spaces are cut further, by the Unicode rules.
"""

import itertools
import re

import regex

from spanwise.feedback.schema import Record
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

VERSION = 1
"""Raised whenever one of the lists may come out otherwise."""

Bounds = tuple[tuple[int, int], ...]

_RUN = re.compile(r"\S+")  # what counts as white space is as in str.split
_WITHOUT_SPACES = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_BOUNDARY = regex.compile(r"(?w)\b")
_GRAPHEME = regex.compile(r"\X")


class Segments(Record):
    """Where one may cut a text; all offsets are code points."""

    words: Bounds
    """White space left out."""
    sub_sentences: Bounds
    """They partition the text, as training does."""
    sentences: Bounds
    joined: tuple[int, ...]
    """Offsets inside a grapheme, where no span may begin or end."""


def segments_of(text: str) -> Segments:
    """All boundaries of `text`."""
    joined = _joined(text)
    return Segments(
        words=_words(text, frozenset(joined)),
        sub_sentences=_pairs(get_segmenter("sub-sentence")(text)),
        sentences=_pairs(get_segmenter("sentence")(text)),
        joined=joined,
    )


def _pairs(spans: tuple[Span, ...]) -> Bounds:
    return tuple((span.start, span.end) for span in spans)


def _words(text: str, joined: frozenset[int]) -> Bounds:
    found: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, end = run.span()
        cuts = [start, end]
        if _WITHOUT_SPACES.search(run.group()):
            inner = (start + cut.start() for cut in _BOUNDARY.finditer(run.group()))
            cuts = sorted({start, end, *(cut for cut in inner if cut not in joined)})
        found += itertools.pairwise(cuts)
    return tuple(found)


def _joined(text: str) -> tuple[int, ...]:
    if text.isascii() and "\r" not in text:
        return ()
    clusters = (found.span() for found in _GRAPHEME.finditer(text))
    return tuple(offset for start, end in clusters for offset in range(start + 1, end))
