"""Where the quotes of a row stand in its answer. A quote that stands there once is found; nothing is guessed.

Others are told apart by an occurrence number or by offsets beside them. What cannot be placed is a problem of its row
and column, or counted as unread where its user allows that loss.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from spanwise.feedback.formats.offsets import Unit, code_points
from spanwise.feedback.formats.tables.cells import NOTHING, is_blank, several, text_of
from spanwise.feedback.formats.tables.layout import Columns, Layout
from spanwise.feedback.problems import FieldError
from spanwise.text import normalize_newlines

AMBIGUOUS = "quotes that stand in the answer several times"
ABSENT = "quotes that do not stand in the answer"
NO_QUOTE = "categories without a quote"
UNFINISHED = "marks of answers that nobody finished"
CATEGORY = "error"
"""The category of marks where no column says it."""
_KEYS = {"text": "quote", "label": "category"}
_PLACES = ("start", "end", "occurrence")
_WORDS = ("category", "note", "severity", "polarity")
_WHOLE = re.compile(r"(-?\d{1,15})(?:\.0+)?")  # pandas writes whole numbers beside empty cells so


@dataclass(frozen=True, slots=True)
class TableReading:
    """How a table is to be read, what may stay unread, by kind, and how much did."""

    layout: Layout = field(default_factory=Layout)
    unit: Unit = "auto"
    """What offsets beside quotes count; in doubt code points."""
    allowed: Collection[str] = ()
    unread: Counter[str] = field(default_factory=Counter[str])

    def lose(self, kind: str, column: str, reason: str) -> None:
        """Counts feedback that is not read; raises FieldError where nobody allowed that."""
        if kind not in self.allowed:
            raise FieldError(column, f"{reason} (--allow-loss {kind!r} leaves such out.)")
        self.unread[kind] += 1


@dataclass(frozen=True, slots=True)
class Place:
    """An answer as it stood in its cell, and how its table is to be read."""

    answer: str
    reading: TableReading

    @property
    def separator(self) -> str:
        return self.reading.layout.separator

    @property
    def text(self) -> str:
        """The answer with line breaks as records have them."""
        return normalize_newlines(self.answer)


Given = dict[str, Any] | FieldError | None
"""A mark as records have it, what is wrong with it, or nothing where it was lost."""


def marks_of(cells: Mapping[str, Any], columns: Columns, place: Place) -> Iterator[Given]:
    """The marks of one row; raises FieldError where its cells do not fit each other."""
    for column, category in columns.marks or ((columns.by_meaning.get("start", ""), ""),):
        for given in _given(cells, columns, column, place):
            mark = {**given, "category": category or given.get("category") or CATEGORY}
            try:
                yield _placed(mark, column, place)
            except FieldError as error:
                yield error
    yield from _homeless(cells, columns, place)


def _homeless(cells: Mapping[str, Any], columns: Columns, place: Place) -> Iterator[None]:
    """What a row says of marks that it does not hold."""
    quoted = any(not is_blank(cells.get(column)) for column, _ in columns.marks)
    if quoted or not is_blank(cells.get(columns.by_meaning.get("start", ""))):
        return
    for meaning in ("category", "severity", "polarity", "occurrence", "end"):
        column = columns.by_meaning.get(meaning, "")
        if not is_blank(cells.get(column)):
            place.reading.lose(NO_QUOTE, column, f"says {str(cells[column])!r:.40} of no quote; quote what it means.")
            yield None
            return


def _given(cells: Mapping[str, Any], columns: Columns, column: str, place: Place) -> Iterator[dict[str, Any]]:
    """Each mark of a cell with what the other cells of its row say of it."""
    quotes = _quotes(cells, columns, column, place)
    if not quotes:
        return
    beside = {
        meaning: _beside(cells, columns.by_meaning[meaning], len(quotes), place.separator, meaning)
        for meaning in (*_PLACES, *_WORDS)
        if meaning in columns.by_meaning
    }
    for number, quote in enumerate(quotes):
        said = {meaning: values[number] for meaning, values in beside.items() if values}
        said = {meaning: value for meaning, value in said.items() if not is_blank(value)}
        yield said | (quote if isinstance(quote, dict) else {} if quote is None else {"quote": quote})


def _quotes(cells: Mapping[str, Any], columns: Columns, column: str, place: Place) -> list[Any]:
    """The quotes of a cell, as texts or objects; of a table of offsets alone a None for each."""
    cell = cells.get(column)
    if is_blank(cell) or not columns.marks:
        start = columns.by_meaning.get("start", "")
        return [None] * len(several(cells.get(start), start, place.separator))
    if isinstance(cell, str) and cell.strip().lower() in NOTHING and cell.strip() != place.text.strip():
        quoted = json.dumps([cell.strip()], ensure_ascii=False)
        empty = "leave the cell empty where there is nothing to quote"
        raise FieldError(column, f"says {cell.strip()!r}; {empty}, and write {quoted} for these very words.")
    if isinstance(cell, str) and cell.strip() and cell.strip() in place.text:
        return [cell if cell in place.text else cell.strip()]
    quotes = several(cell, column, place.separator)
    if not all(isinstance(quote, str | dict) for quote in quotes):
        raise FieldError(column, "must hold quotes, or objects with quote and category.")
    renamed = [_renamed(cast("dict[str, Any]", quote)) if isinstance(quote, dict) else quote for quote in quotes]
    return [quote for quote in renamed if quote]


def _renamed(mark: dict[str, Any]) -> dict[str, Any]:
    return {(_KEYS.get(key, key) if _KEYS.get(key, key) not in mark else key): value for key, value in mark.items()}


def _beside(cells: Mapping[str, Any], column: str, number: int, separator: str, meaning: str) -> list[Any] | None:
    """The values of a cell for each of `number` marks; one word may stand for all of them."""
    cell, is_place = cells.get(column), meaning in _PLACES
    if is_blank(cell):
        return None
    is_prose = meaning == "note" and number == 1 and not isinstance(cell, list)
    values = [cell] if is_prose else several(cell, column, separator)
    if is_place:
        values = [_whole(value, column) for value in values]
    if len(values) == 1 and not is_place:
        return values * number
    if len(values) != number:
        raise FieldError(
            column, f"holds {len(values)} values for {number} mark{'s' * (number != 1)}; write one for each."
        )
    return values


def _whole(value: Any, column: str) -> int:
    text = str(value).strip()
    if (found := _WHOLE.fullmatch(text)) is None:
        raise FieldError(column, f"must be a whole number (got {text!r:.40}).")
    return int(found[1])


def _placed(mark: dict[str, Any], column: str, place: Place) -> dict[str, Any] | None:
    occurrence = mark.pop("occurrence", None)
    text = place.text
    if "quote" in mark:
        mark["quote"] = normalize_newlines(text_of(mark["quote"], column))
    if "start" in mark or "end" in mark:
        return mark | _at_offsets(mark, column, place)
    quote = mark.get("quote", "")
    starts = list(_starts(text, quote)) if quote else []
    if occurrence is None and len(starts) == 1:
        return mark | {"start": starts[0], "end": starts[0] + len(quote)}
    if not starts:
        reason = f"{quote!r:.60} does not stand in the answer{_nearly(text, quote)}; copy it from there."
        return place.reading.lose(ABSENT, column, reason)
    if occurrence is None:
        which = f"say which in a column of occurrences (1 to {len(starts)}) or of offsets."
        return place.reading.lose(AMBIGUOUS, column, f"{quote!r:.60} stands {len(starts)} times in the answer; {which}")
    if not 1 <= _whole(occurrence, column) <= len(starts):
        stands = f"{quote!r:.60} stands {len(starts)} times in the answer"
        raise FieldError(column, f"{stands}, there is no occurrence {occurrence}; correct the number.")
    start = starts[int(occurrence) - 1]
    return mark | {"start": start, "end": start + len(quote)}


def _at_offsets(mark: dict[str, Any], column: str, place: Place) -> dict[str, Any]:
    """Start, end and quote of a mark with offsets into the answer as it stood in its cell."""
    if "start" not in mark:
        raise FieldError(column, "has an end without a start; write both.")
    start, quote = _whole(mark["start"], column), mark.get("quote")
    if "end" not in mark and quote is None:
        raise FieldError(column, "has a start without end or quote; write one of them.")
    text = place.answer if quote is None or "\r" not in place.answer else place.text
    if "end" not in mark:
        ends = {"code-points": start + len(str(quote)), "utf-16": start + len(str(quote).encode("utf-16-le")) // 2}
        mark["end"] = ends["utf-16" if place.reading.unit == "utf-16" else "code-points"]
    span = (start, _whole(mark["end"], column))
    try:
        ((begin, end),) = code_points(text, [span], place.reading.unit, [quote], documented="code-points")
    except FieldError as error:
        raise FieldError(column, error.reason) from error
    begin, end = len(normalize_newlines(text[:begin])), len(normalize_newlines(text[:end]))
    return {"start": begin, "end": end, "quote": normalize_newlines(text)[begin:end]}


def _starts(text: str, quote: str) -> Iterator[int]:
    start = text.find(quote)
    while start >= 0:
        yield start
        start = text.find(quote, start + 1)


def _nearly(text: str, quote: str) -> str:
    if _simple(quote) and _simple(quote) in _simple(text):
        return ", where white space, capitals or quotation marks differ"
    return ""


def _simple(text: str) -> str:
    plain = text.translate(str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\xa0", "''\"\"-- "))
    return " ".join(plain.strip("'\" ").lower().split())
