"""What is wrong with one record of a file, told so that a person can find and mend it.

A reader that meets a bad record reports a `Problem` and goes on; nothing is dropped without one. This file
turns pydantic's complaints into such sentences. It knows no file format.
"""

import difflib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from spanwise.core import innermost

T = TypeVar("T")
RecordT = TypeVar("RecordT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Place:
    """A record in a file: where it begins, and the bytes or characters it was read from."""

    file: str
    line: int
    raw: bytes = field(repr=False)
    item: int | None = None
    """Position in the file's list, from 0, where the file is one list."""
    row: int | None = None
    """Its row where the file is a table; of a file, the names of the columns are row 1."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a record was not taken."""

    place: Place
    field: str
    """Dotted path of the field, or the column of a table; empty when the whole record is meant."""
    reason: str

    def __str__(self) -> str:
        item = "" if self.place.item is None else f" item {self.place.item}:"
        item = item if self.place.row is None else f" row {self.place.row}:"
        name = f" {self.field}:" if self.field else ""
        return f"{self.place.file}:{self.place.line}:{item}{name} {self.reason}"

    @property
    def file(self) -> str:
        return self.place.file

    @property
    def line(self) -> int:
        return self.place.line

    def as_dict(self) -> dict[str, Any]:
        """File, line, item (where the file is one list) or row (of a table), field and reason, for JSON output."""
        item = {} if self.place.item is None else {"item": self.place.item}
        item |= {} if self.place.row is None else {"row": self.place.row}
        return {"file": self.file, "line": self.line, **item, "field": self.field, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ReadResult(Generic[T]):
    """The good records of a file and everything that kept the others out."""

    records: list[T]
    problems: list[Problem]
    lines: list[int] = field(default_factory=list)
    """The line on which each good record begins."""
    unread: dict[str, int] = field(default_factory=dict[str, int])
    """Feedback of the file that no record and no problem holds: how often, by kind."""

    @property
    def is_empty(self) -> bool:
        """Whether the file holds nothing at all, neither good nor bad nor unread."""
        return not (self.records or self.problems or self.unread)

    @property
    def rejected(self) -> dict[Place, list[Problem]]:
        """The problems of each record that was not taken, in file order."""
        grouped: dict[Place, list[Problem]] = {}
        for problem in self.problems:
            grouped.setdefault(problem.place, []).append(problem)
        return grouped


def collected(outcomes: Iterable[tuple[Place, T | list[Problem]]]) -> ReadResult[T]:
    """Sorts what a reader yields into good records and problems."""
    result: ReadResult[T] = ReadResult([], [])
    for place, outcome in outcomes:
        if isinstance(outcome, list):
            result.problems.extend(cast("list[Problem]", outcome))
        else:
            result.records.append(outcome)
            result.lines.append(place.line)
    return result


def with_unique_ids(outcomes: Iterable[tuple[Place, T | list[Problem]]]) -> Iterator[tuple[Place, T | list[Problem]]]:
    """The same, with a problem in place of every record whose id came before; records without an id are let be."""
    seen = _Ids()
    for place, outcome in outcomes:
        name = "" if isinstance(outcome, list) else str(getattr(outcome, "id", ""))
        if name and (before := seen.add(name, _number(place))) is not None:
            what = "row" if place.row is not None else "line" if place.item is None else "item"
            reason = f"{name!r:.60} is the id of {what} {before} already; make ids unique."
            yield place, [Problem(place, "id", reason)]
            continue
        yield place, outcome


class _Ids:
    """Which ids came before and where, in 16 bytes for each of at most twice as many: a table of hashes of 64 bits.

    Two of a million ids share a hash once in 37 million files; Python hashes otherwise each time.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hashes, self._places = self._empty(1 << 10)

    def add(self, name: str, place: int) -> int | None:
        """Notes an id; returns the place of the same one before, if there is one."""
        if 2 * self.count >= len(self._hashes):
            self._grow()
        key = hash(name) or 1
        slot = self._slot(key)
        if self._hashes[slot]:
            return self._places[slot]
        self._hashes[slot], self._places[slot] = key, place
        self.count += 1
        return None

    def _slot(self, key: int) -> int:
        mask, hashes = len(self._hashes) - 1, self._hashes
        slot = key & mask
        while hashes[slot] and hashes[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        hashes, places = self._hashes, self._places
        self._hashes, self._places = self._empty(2 * len(hashes))
        for key, place in zip(hashes, places, strict=True):
            if key:
                slot = self._slot(key)
                self._hashes[slot], self._places[slot] = key, place

    @staticmethod
    def _empty(size: int) -> "tuple[array[int], array[int]]":
        return array("q", bytes(8 * size)), array("q", bytes(8 * size))


def _number(place: Place) -> int:
    return next(number for number in (place.row, place.item, place.line) if number is not None)


class FieldError(ValueError):
    """Raised by a model's own checks: `place` is the dotted path below the model, `reason` the sentence."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.place = place
        self.reason = reason


def validated(model: type[RecordT], value: Any, place: Place) -> RecordT | list[Problem]:
    """The model made from `value`, or what is wrong with it."""
    if not isinstance(value, dict):
        return [Problem(place, "", f"a record is a JSON object, this is {json_name(value)}; remove or mend it.")]
    try:
        return model.model_validate(value)
    except ValidationError as error:
        return complaints(model, error, place)


def json_name(value: Any) -> str:
    """What JSON calls the type of `value`."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def complaints(model: type[BaseModel], error: ValidationError, place: Place) -> list[Problem]:
    """What pydantic complains of, told so that a person can find and mend it."""
    return list(_problems(model, error, place))


def _problems(model: type[BaseModel], error: ValidationError, place: Place) -> Iterator[Problem]:
    for complaint in innermost(error.errors()):
        path = [_printable(str(part)) for part in complaint["loc"]]
        cause = complaint.get("ctx", {}).get("error")
        if isinstance(cause, FieldError):
            yield Problem(place, ".".join([*path, *filter(None, [cause.place])]), cause.reason)
        else:
            yield Problem(place, ".".join(path), _reason(model, path, dict(complaint)))


def _reason(model: type[BaseModel], path: list[str], complaint: dict[str, Any]) -> str:
    kind, given = complaint["type"], complaint["input"]
    if path == ["schema_version"]:
        known = complaint.get("ctx", {}).get("expected", "1")
        return f"version {given!r:.40} is not one that this Spanwise reads ({known}); upgrade it or export again."
    if kind == "missing":
        return "is required; add it."
    if kind == "extra_forbidden":
        names = [info.alias or name for name, info in model.model_fields.items()]
        near = difflib.get_close_matches(path[-1], names, n=1) if len(path) == 1 else []
        return f"unknown key; did you mean {near[0]}?" if near else "unknown key; remove or rename it."
    if kind in _WANTED:
        return f"must be {_WANTED[kind]} (got {_shown(given)})."
    sentence = complaint["msg"].removeprefix("Value error, ").rstrip(".")
    if kind == "value_error":
        return f"{sentence}."
    return f"{sentence[:1].lower()}{sentence[1:]} (got {_shown(given)})."


_WANTED = {
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
}
"""What JSON calls the types that pydantic names in Python's words."""


def _printable(name: str) -> str:
    """Keys of a hostile file must neither break the output's encoding nor steer a terminal."""
    return name if name.isprintable() else ascii(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
