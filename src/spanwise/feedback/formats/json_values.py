"""Reads a file of JSON values, one list or one value a line, value by value, so that a bad one costs one.

It knows where values begin and end; what they are, a format's own function says.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from spanwise.core import BadJSONError, DataError, end_of_value, parse, parse_at, read_lines, read_text
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.tables import is_parquet, open_table
from spanwise.feedback.problems import FieldError, Place, Problem, complaints, json_name
from spanwise.feedback.schema import FeedbackRecord

Convert = Callable[[Any, Place, Reading], Iterable[FeedbackRecord]]
"""The records that one value holds; what is wrong with it is raised."""

Parts = dict[str, Any]
_SPACE = " \t\r\n"


def read_items(path: Path) -> Iterator[tuple[Place, Any]]:
    """Yields the place of each item with its value or a `Problem`; raises DataError when the file holds no list.

    What stands behind the first place where the list itself is broken cannot be told apart into items; it is
    one problem, whose place keeps the rest of the file.
    """
    text = read_text(path).removeprefix("\ufeff")
    position = _skip(text, 0)
    if not text.startswith("[", position):
        shown = repr(text[position : position + 20]) if text.strip() else "nothing"
        raise DataError(f"{path}: a JSON list was expected, the file begins with {shown}; check file and format.")
    yield from _Items(str(path), text, position + 1)


def read_values(path: Path) -> Iterator[tuple[Place, Any]]:
    """The values of a JSON list, of JSON lines or of the rows of Parquet, whichever the file holds; a bad one is a
    Problem.
    """
    if is_parquet(path):
        yield from _rows(path)
        return
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


def _rows(path: Path) -> Iterator[tuple[Place, Any]]:
    """Every row as a JSON object; Parquet cannot tell what is absent from null, so neither is there."""
    for row in open_table(path).rows:
        value = _without_null(row.cells)
        place = Place(
            str(path), row.line, json.dumps(value, ensure_ascii=False).encode(errors="replace"), row=row.number
        )
        yield place, Problem(place, row.damaged, row.damage) if row.damage else value


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        parts = cast("Parts", value).items()
        return {key: _without_null(part) for key, part in parts if part is not None}
    return [_without_null(part) for part in cast("list[Any]", value)] if isinstance(value, list) else value


def converted(path: Path, convert: Convert, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records that `convert` makes of the values of a file; what it refuses becomes problems."""
    for place, value in read_values(path):
        if isinstance(value, Problem):
            yield place, [value]
        else:
            yield from converted_value(value, place, convert, reading)


def converted_value(value: Any, place: Place, convert: Convert, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of one value, or all that is wrong with it.

    A value that is refused is a problem as a whole, so nothing of it is counted as unread.
    """
    of_value = Reading(reading.unit)
    try:
        records = list(convert(value, place, of_value))
        reading.unread.update(of_value.unread)
        yield from [(place, record) for record in records]
    except FieldError as error:
        yield place, [Problem(place, error.place, error.reason)]
    except KeyError as error:
        reason = f"lacks the key {str(error.args[0])!r:.60}, which items of this format have; export it again."
        yield place, [Problem(place, "", reason)]
    except (TypeError, AttributeError, IndexError):
        yield place, [Problem(place, "", _other_layout(value))]
    except ValidationError as error:
        yield place, complaints(FeedbackRecord, error, place)
    except ValueError as error:
        yield place, [Problem(place, "", " ".join(str(error).split()))]


def _other_layout(value: Any) -> str:
    """What is told of a value whose parts are of other types than the format has them."""
    if not isinstance(value, dict):
        return f"an item of this format is a JSON object, this is {json_name(value)}; remove or mend it."
    parts = ", ".join(f"{key!r:.40} is {json_name(part)}" for key, part in list(cast("Parts", value).items())[:8])
    return f"is not laid out as items of this format are: {parts}; export it again, or name another format."


class _Items:
    """Iterates over the items behind the opening bracket and counts lines on the way."""

    def __init__(self, file: str, text: str, position: int) -> None:
        self.file, self.text, self.position = file, text, _skip(text, position)
        self.index, self.line, self.counted = 0, 1, 0

    def __iter__(self) -> Iterator[tuple[Place, Any]]:
        following = "]" if self.text.startswith("]", self.position) else ","
        while following == ",":
            place, value, end = self._item(self.position)
            yield place, value
            if end is None:
                return
            self.position = _skip(self.text, end)
            following = self.text[self.position : self.position + 1]
            if following == ",":
                self.position = _skip(self.text, self.position + 1)
                self.index += 1
        if following != "]":
            met = f"{following!r} where a comma or ] belongs" if following else "the end where ] belongs"
            yield self._rest(self.position, f"not JSON ({met}); mend the file.")
        elif (after := _skip(self.text, self.position + 1)) < len(self.text):
            yield self._rest(after, "more text after the list; remove it.")

    def _item(self, start: int) -> tuple[Place, Any, int | None]:
        try:
            value, end = parse_at(self.text, start)
        except BadJSONError as error:
            end = end_of_value(self.text, start)
            place = self._place(start, len(self.text) if end is None else end)
            rest = " Nothing behind this place was read." if end is None else ""
            return place, Problem(place, "", f"{error}{rest}"), end
        return self._place(start, end), value, end

    def _rest(self, start: int, reason: str) -> tuple[Place, Problem]:
        place = self._place(start, len(self.text))
        return place, Problem(place, "", reason)

    def _place(self, start: int, end: int) -> Place:
        self.line += self.text.count("\n", self.counted, start)
        self.counted = start
        return Place(self.file, self.line, self.text[start:end].encode(), self.index)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _first_character(path: Path) -> bytes:
    for _, line in read_lines(path):
        return line.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return b""
