"""What a file is that a reader cannot read: its name, and the command or call that reads or converts it.

People hand over the file that they have. Answered line by line ("unknown key; remove or rename it") they would take it
apart, so a file of which no record is good is looked at as a whole first. Which kinds there are, `kinds` says. Knows
nothing of how formats are read.
"""

import contextlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from spanwise.core import BadJSONError, DataError, parse, parse_at, read_text
from spanwise.feedback.kinds import RECORDS, TEXTS, Kind
from spanwise.feedback.problems import Place, Problem

T = TypeVar("T")
Outcomes = Iterable[tuple[Place, T | list[Problem]]]

_ROWS = {"data", "rows", "records", "items", "examples", "instances", "samples", "results", "train", "test", "dev"}
"""Keys under which one object is likely to hold all records of a file."""
_FIRST = 10_000
"""So many records are read before a file without a good one is looked at as a whole."""
_LOOKED_AT = 5
"""So many records or lines decide what a file is."""


def or_named(outcomes: Outcomes[T], path: Path, asked: str) -> Iterator[tuple[Place, T | list[Problem]]]:
    """The same outcomes; DataError instead where none is good and the file is known to be another kind than `asked`."""
    rest = iter(outcomes)
    held: list[tuple[Place, T | list[Problem]]] = []
    with named_instead(path, asked):
        for outcome in rest:
            held.append(outcome)
            if not isinstance(outcome[1], list) or len(held) == _FIRST:
                break
    if held and all(isinstance(outcome, list) for _, outcome in held):
        sentence = recognised(path, asked)
        if sentence is not None:
            raise DataError(sentence)
    yield from held
    yield from rest


@contextlib.contextmanager
def named_instead(path: Path, asked: str) -> Generator[None]:
    """A DataError of the block says what the file is where that is known and is not `asked`."""
    try:
        yield
    except DataError as error:
        if (sentence := recognised(path, asked)) is not None:
            raise DataError(sentence) from error
        raise


def recognised(path: Path, asked: str) -> str | None:
    """One sentence that says what the file is and how to go on; None where that is not known, or is what was asked."""
    kind = kind_of(path)
    if kind is None or asked in (kind.name, *kind.read_as):
        return None
    return f"{path}: is {kind.what}; {kind.remedy.replace('FILE', path.name)}."


def kind_of(path: Path) -> Kind | None:
    """What kind of file or folder it is; None where that is not known."""
    return _saved_dataset(path) if path.is_dir() else _kind_of_file(path)


def _kind_of_file(path: Path) -> Kind | None:
    try:
        text = read_text(path).removeprefix("\ufeff").strip()
    except DataError:
        return None
    if text.startswith(("{", "[")):
        return _kind_of_json(text)
    lines = [line for line in text.splitlines() if line.strip()][: 4 * _LOOKED_AT]
    return next((kind for kind in TEXTS if lines and kind.told_by(lines)), None)


def _kind_of_json(text: str) -> Kind | None:
    """By its first records: of a list, of lines, or of one object that spreads over lines or holds a list of them."""
    records = _items(text) if text.startswith("[") else _lines(text)
    if records is None:
        whole = _parsed(text)
        return None if not isinstance(whole, dict) else _kind_of_object(cast("dict[str, Any]", whole))
    if len(records) == 1 and (kind := _of_rows(records[0])) is not None:
        return kind
    kinds = {_kind_of_record(record) for record in records}
    return kinds.pop() if len(kinds) == 1 else None


def _items(text: str) -> list[dict[str, Any]]:
    """The first objects of a list."""
    items: list[dict[str, Any]] = []
    position = 1
    while len(items) < _LOOKED_AT:
        position += len(text[position:]) - len(text[position:].lstrip(" \t\r\n,"))
        try:
            value, position = parse_at(text, position)
        except BadJSONError:
            break
        if not isinstance(value, dict):
            break
        items.append(cast("dict[str, Any]", value))
    return items


def _lines(text: str) -> list[dict[str, Any]] | None:
    """The objects of the first lines, or None where the first object does not end with its line."""
    lines = [line for line in text.splitlines() if line.strip()]
    values = [_parsed(line) for line in lines[:_LOOKED_AT]]
    if not isinstance(values[0], dict):
        return None
    return [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except BadJSONError:
        return None


def _kind_of_record(record: dict[str, Any]) -> Kind | None:
    return next((kind for kind in RECORDS if kind.told_by(record)), None)


def _kind_of_object(whole: dict[str, Any]) -> Kind:
    """One object over several lines."""
    kind = _kind_of_record(whole)
    if kind is not None and kind.whole:
        return kind
    rows = _of_rows(whole)
    if rows is not None:
        return rows
    remedy = "write one record a line with `jq -c . FILE > rows.jsonl`"
    return Kind("one JSON object over several lines", remedy, bool)


def _of_rows(whole: dict[str, Any]) -> Kind | None:
    """One object whose only list of objects holds the records."""
    lists = {key: value for key, value in whole.items() if isinstance(value, list) and value and _all_objects(value)}
    if len(lists) != 1 or _kind_of_record(whole) is not None:
        return None
    ((key, rows),) = lists.items()
    inner = _kind_of_record(rows[0])
    if inner is None and key not in _ROWS:
        return None
    what = f"one JSON object with its records under {key!r:.60}" + (f": {inner.what}" if inner else "")
    return Kind(what, f"take them out with `jq -c '.[{_quoted(key)}][]' FILE > rows.jsonl`", bool)


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"')[:60] + '"'


def _all_objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _saved_dataset(path: Path) -> Kind | None:
    names = {"dataset_info.json", "dataset_dict.json", "state.json"}
    try:
        found = any((path / name).is_file() for name in names)
    except OSError:
        return None
    remedy = "write it as JSON lines with datasets.load_from_disk('FILE').to_json('rows.jsonl', force_ascii=False)"
    return Kind("a data set of Hugging Face", remedy, bool) if found else None
