"""Offsets of other tools, which count UTF-16 units, as browsers do, code points, or graphemes, and rarely say which.

Where words are quoted beside the offsets, the quotes decide. Where none are, the unit that the tool documents is taken;
where it documents none, the reading whose borders fit words better. What stays in doubt is refused, not guessed.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Literal

from spanwise.feedback.problems import FieldError
from spanwise.text import graphemes

Unit = Literal["auto", "code-points", "utf-16", "graphemes"]
"""What the offsets of a file count; with "auto" what its tool documents and what the quoted words show."""
_REMEDY = "say what they count with --offsets code-points, utf-16 or graphemes."
_Spans = list[tuple[int, int]]


def code_points(
    text: str, spans: _Spans, unit: Unit, quotes: Sequence[str | None] | None = None, *, documented: Unit = "auto"
) -> _Spans:
    """`spans`, counted in `unit`, as code points of `text`.

    `quotes` are the words at the spans, None where they are not known; `documented` is the unit that the tool says it
    counts. With the unit "auto" both are asked. Raises FieldError where no unit fits, or where several do and nothing
    tells them apart.
    """
    units: tuple[Unit, ...] = ("code-points", "utf-16") if unit == "auto" else (unit,)
    readings = {name: [_moved(span, _TABLES[name](text)) for span in spans] for name in units}
    good = {name: reading for name, reading in readings.items() if _inside(text, reading)}
    known = quotes if quotes is not None else [None] * len(spans)
    good = {name: reading for name, reading in good.items() if _quoted(text, reading, known)}
    if not good:
        what = "offsets lie outside the text" if not any(known) else "the quoted words are not at their offsets"
        raise FieldError("", f"{what} in any unit; correct them, or {_REMEDY}")
    if documented in good:
        return good[documented]
    fit = {name: _on_words(text, reading) for name, reading in good.items()}
    best = [good[name] for name in good if fit[name] == max(fit.values())]
    if any(reading != best[0] for reading in best):
        raise FieldError("", f"offsets fit the text as code points and as UTF-16 units; {_REMEDY}")
    return best[0]


def utf16(text: str, offset: int) -> int:
    """The UTF-16 offset of a code-point offset."""
    return offset + sum(ord(character) > 0xFFFF for character in text[:offset])


def _moved(span: tuple[int, int], table: dict[int, int]) -> tuple[int, int]:
    return table.get(span[0], -1), table.get(span[1], -1)


def _table(sizes: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Code-point offsets by the offsets of another unit, of how many units and code points each character has.

    The middle of a pair of surrogates, or of a grapheme, is no offset.
    """
    borders = accumulate(sizes, lambda behind, size: (behind[0] + size[0], behind[1] + size[1]), initial=(0, 0))
    return dict(borders)


def _of_code_points(text: str) -> dict[int, int]:
    return {offset: offset for offset in range(len(text) + 1)}


def _of_utf16(text: str) -> dict[int, int]:
    return _table((2 if ord(character) > 0xFFFF else 1, 1) for character in text)


def _of_graphemes(text: str) -> dict[int, int]:
    return _table((1, len(grapheme)) for grapheme in graphemes(text))


_TABLES: dict[Unit, Callable[[str], dict[int, int]]] = {
    "code-points": _of_code_points,
    "utf-16": _of_utf16,
    "graphemes": _of_graphemes,
}


def _inside(text: str, spans: _Spans) -> bool:
    return all(0 <= start < end <= len(text) for start, end in spans)


def _quoted(text: str, spans: _Spans, quotes: Sequence[str | None]) -> bool:
    return all(quote in (None, text[start:end]) for (start, end), quote in zip(spans, quotes, strict=True))


def _on_words(text: str, spans: _Spans) -> int:
    """How many borders stand between a word and something else."""

    def border(offset: int) -> bool:
        before, after = text[offset - 1 : offset], text[offset : offset + 1]
        return not (before.isalnum() and after.isalnum()) and not (before.isspace() and after.isspace())

    return sum(border(start) + border(end) + (text[start:end] == text[start:end].strip()) for start, end in spans)
