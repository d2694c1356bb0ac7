"""What a unit of text is: graphemes, units of alignment and words, for every script; the one place that decides it.

A grapheme (an extended grapheme cluster of Unicode, UAX 29) is never cut. Units are what edits are aligned by: a run
of letters, digits and underscores, one sign of punctuation, one emoji. Scripts that put no spaces between words have
no words that rules alone can find, so each grapheme is a unit there, with the vowels that belong to it; a run of
katakana is one, as UAX 29 has it. Words are what lengths count: what stands between white space, as the papers count
it, cut into units where a script writes no spaces. The package regex knows Unicode's tables and keeps up with them;
Python's own `re` parts a letter from its marks. Knows nothing of edits or segments.
"""

import re
from collections.abc import Iterator

import regex

from spanwise.text.spans import Span

_UNSPACED = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Yi}\p{Line_Break=Complex_Context}\u3005-\u3007"
"""Scripts without spaces between words: Han, kana, Yi, and those of South-East Asia (Thai, Khmer, Burmese, ...)."""
_KATAKANA = r"\p{Word_Break=Katakana}"
_BEFORE = r"[\u0e40-\u0e44\u0ec0-\u0ec4]"
"""Vowels of Thai and Lao that are written before the consonant they follow in speech."""
_BEHIND = r"[\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3\p{M}]"
"""Vowels that are graphemes of their own and still belong to the letter before them."""
_CLUSTER = rf"(?:{_BEFORE}(?=[{_UNSPACED}]))?(?=[{_UNSPACED}])\X(?:(?={_BEHIND})\X)*"
_PIECE = regex.compile(rf"(?V1)(?:(?=[{_KATAKANA}])\X)+|{_CLUSTER}|(?:(?=[\w--[{_UNSPACED}{_KATAKANA}]])\X)+|\X")
_ASCII_UNIT = re.compile(r"\w+|[^\w\s]", re.ASCII)
_WITHOUT_SPACES = regex.compile(rf"[{_UNSPACED}{_KATAKANA}]")
_GRAPHEME = regex.compile(r"\X")
_RUN = regex.compile(r"\S+")


def graphemes(text: str) -> list[Span]:
    """The characters as readers see them; they partition the text."""
    if text.isascii() and "\r" not in text:
        return [Span(start, start + 1) for start in range(len(text))]
    return [Span(*match.span()) for match in _GRAPHEME.finditer(text)]


def units(text: str) -> list[Span]:
    """What edits are aligned by: words, or graphemes where a script has no spaces, and signs, but no white space."""
    if text.isascii():  # the same, several times as fast
        return [Span(*match.span()) for match in _ASCII_UNIT.finditer(text)]
    return [Span(*match.span()) for match in _PIECE.finditer(text) if not match[0].isspace()]


def pieces(text: str) -> list[Span]:
    """Runs between white space, cut into units where they hold a script without spaces; nothing else is left out."""
    return [piece for run in _RUN.finditer(text) for piece in _pieces_of_run(run[0], run.start())]


def words(text: str) -> list[Span]:
    """What lengths count: pieces; but signs by themselves are no words in a text whose script has no spaces."""
    counted = pieces(text)
    if not without_spaces(text):
        return counted
    return [piece for piece in counted if any(map(str.isalnum, piece.of(text)))]


def split_words(text: str) -> list[str]:
    """The words themselves; for a text whose script has spaces what `str.split` gives."""
    if not without_spaces(text):
        return text.split()
    return [word.of(text) for word in words(text)]


def count_words(text: str) -> int:
    """How long a text is in words."""
    return len(split_words(text))


def without_spaces(text: str) -> bool:
    """Whether a text holds a script that puts no spaces between words."""
    return not text.isascii() and _WITHOUT_SPACES.search(text) is not None


def _pieces_of_run(run: str, start: int) -> Iterator[Span]:
    if not without_spaces(run):
        yield Span(start, start + len(run))
        return
    for unit in units(run):
        yield unit.shift(start)
