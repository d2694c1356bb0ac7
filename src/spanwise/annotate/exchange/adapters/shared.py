"""What adapters have in common: the shape of readers and writers, JSON files of either kind, foreign offsets.

Other tools count UTF-16 units, as browsers do, or code points, and rarely say which. Where a text has characters
beyond the basic plane, both readings are tried on all spans of it, and the one that holds is taken.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spanwise.core import BadJSONError, parse, read_lines
from spanwise.feedback import FeedbackRecord, FieldError, Place, Problem
from spanwise.feedback.formats import read_items

Unit = Literal["auto", "code_point", "utf16"]
Outcome = tuple[Place, FeedbackRecord | list[Problem]]
Reader = Callable[[Path, Unit], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer did."""

    rows: int
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    """What the format has no place for, in words, and how often."""


Writer = Callable[[Path, Iterable[FeedbackRecord]], Written]
Convert = Callable[[Any, Place, Unit], Iterable[FeedbackRecord]]


def read_values(path: Path) -> Iterator[tuple[Place, Any]]:
    """The values of a JSON list or of JSON lines, whichever the file holds; a bad one is a Problem."""
    if _first_character(path) == b"[":
        yield from read_items(path)
        return
    for number, line in read_lines(path):
        place = Place(str(path), number, line)
        try:
            yield place, parse(line.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            yield place, Problem(place, "", f"not UTF-8 at byte {error.start} of the line; convert the file to UTF-8.")
        except BadJSONError as error:
            yield place, Problem(place, "", str(error))


def converted(path: Path, convert: Convert, unit: Unit) -> Iterator[Outcome]:
    """The records that `convert` makes of the values of a file; what it refuses becomes problems."""
    for place, value in read_values(path):
        if isinstance(value, Problem):
            yield place, [value]
            continue
        try:
            yield from [(place, record) for record in convert(value, place, unit)]
        except FieldError as error:
            yield place, [Problem(place, error.place, error.reason)]
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            yield place, [Problem(place, "", f"is not laid out as this format is ({type(error).__name__}: {error}).")]
        except ValueError as error:
            yield place, [Problem(place, "", " ".join(str(error).split()))]


def code_points(
    text: str, spans: list[tuple[int, int]], unit: Unit, quotes: list[str] | None = None
) -> list[tuple[int, int]]:
    """`spans` as code points of `text`.

    With "auto", the reading under which all quotes are found; without quotes, the one whose borders fit words
    better. Raises FieldError where neither holds.
    """
    if unit == "code_point" or text.isascii() or max(map(ord, text), default=0) < 0x10000:
        readings = {"code_point": spans}
    else:
        table = _table(text)
        shifted = [(table.get(start, -1), table.get(end, -1)) for start, end in spans]
        readings = {"utf16": shifted} if unit == "utf16" else {"code_point": spans, "utf16": shifted}
    good = {name: reading for name, reading in readings.items() if _inside(text, reading)}
    if quotes is not None:
        good = {n: r for n, r in good.items() if [text[s:e] for s, e in r] == quotes}
    if not good:
        what = "the quoted words are not at their offsets" if quotes is not None else "offsets lie outside the text"
        raise FieldError("", f"{what} in any unit; correct them.")
    return max(good.values(), key=lambda reading: _on_words(text, reading))


def utf16(text: str, offset: int) -> int:
    """The UTF-16 offset of a code-point offset."""
    return offset + sum(ord(character) > 0xFFFF for character in text[:offset])


def count(left_out: Iterable[str]) -> dict[str, int]:
    """How often each reason was given."""
    return dict(Counter(left_out))


def _table(text: str) -> dict[int, int]:
    """Code-point offsets by UTF-16 offset; the middle of a pair is no offset."""
    table: dict[int, int] = {}
    units = 0
    for offset, character in enumerate(text):
        table[units] = offset
        units += 2 if ord(character) > 0xFFFF else 1
    table[units] = len(text)
    return table


def _inside(text: str, spans: list[tuple[int, int]]) -> bool:
    return all(0 <= start < end <= len(text) for start, end in spans)


def _on_words(text: str, spans: list[tuple[int, int]]) -> int:
    """How many borders stand between a word and something else."""

    def border(offset: int) -> bool:
        before, after = text[offset - 1 : offset], text[offset : offset + 1]
        return not (before.isalnum() and after.isalnum()) and not (before.isspace() and after.isspace())

    return sum(border(start) + border(end) + (text[start:end] == text[start:end].strip()) for start, end in spans)


def _first_character(path: Path) -> bytes:
    for _, line in read_lines(path):
        return line.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return b""
