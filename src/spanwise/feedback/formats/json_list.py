"""Reads a file that holds one JSON list, item by item, so that one bad item costs one item.

It knows where items begin and end and nothing of what they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spanwise.core import BadJSONError, DataError, end_of_value, parse_at, read_text
from spanwise.feedback.problems import Place, Problem

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
            found = f"{following!r} where a comma or ] belongs" if following else "the end where ] belongs"
            yield self._rest(self.position, f"not JSON ({found}); mend the file.")
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
