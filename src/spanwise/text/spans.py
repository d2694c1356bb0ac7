"""Spans: half-open ranges of Unicode code points in an immutable text.

Everything that people, models and rules say about an answer is said about a span. This file knows nothing
of tokens (`alignment.py`) or of where spans come from (`segments.py`, `feedback`).
"""

import hashlib
import re
from dataclasses import dataclass

from spanwise.core import DataError, SpanError

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`[start, end)` in code points of a text; empty spans (start == end) mark a gap.

    Raises SpanError when start is negative or end lies before start.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.end < self.start:
            raise SpanError(f"Span [{self.start}, {self.end}) is not a range; it needs 0 <= start <= end.")

    def __len__(self) -> int:
        return self.end - self.start

    def __bool__(self) -> bool:
        return True

    def of(self, text: str) -> str:
        """The quoted text; raises SpanError when the span reaches beyond `text`."""
        if self.end > len(text):
            raise SpanError(f"Span [{self.start}, {self.end}) lies outside its text of {len(text)} characters.")
        return text[self.start : self.end]

    def overlap(self, other: "Span") -> int:
        """How many characters both spans cover."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))

    def contains(self, other: "Span") -> bool:
        """Whether `other` lies wholly inside."""
        return self.start <= other.start and other.end <= self.end

    def shift(self, offset: int) -> "Span":
        """The same span in a text that has `offset` more characters before it."""
        return Span(self.start + offset, self.end + offset)


def normalize_newlines(text: str) -> str:
    """CRLF and lone CR become LF, as every import does before offsets are taken."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_text(text: str, *, place: str) -> str:
    """Returns `text`, or raises DataError for NUL and lone surrogates, which no file or tokenizer keeps."""
    reason = unstorable(text)
    if reason is not None:
        raise DataError(f"{place}: {reason}; remove it from the text.")
    return text


def unstorable(text: str) -> str | None:
    """Which character no file or tokenizer keeps, and where; None for a text without NUL and lone surrogates."""
    match = _UNSTORABLE.search(text)
    if match is None:
        return None
    name = "NUL" if match[0] == "\0" else f"lone surrogate U+{ord(match[0]):04X}"
    return f"{name} at character {match.start()}"


def find_quote(text: str, quote: str, occurrence: int = 1) -> Span | None:
    """Where `quote` stands in `text` for the `occurrence`-th time, from 1, or None; occurrences may overlap."""
    start = -1
    for _ in range(occurrence):
        start = text.find(quote, start + 1)
        if start < 0:
            return None
    return Span(start, start + len(quote))


def text_hash(text: str) -> str:
    """SHA-256 of the UTF-8 text, in hex: stored beside offsets so that a changed text is noticed."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
