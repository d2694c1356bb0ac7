"""Offsets of other tools, which count UTF-16 units, as browsers do, or code points, and rarely say which.

Where a text has characters beyond the basic plane, both readings are tried on all spans of it, and the one that holds
is taken.
"""

from spanwise.feedback.formats.contract import Unit
from spanwise.feedback.problems import FieldError


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
