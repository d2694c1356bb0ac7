"""What the rows of a table become, checked: rows that belong together, and the place of each in its table.

Rows of one answer that follow each other, each with a quote of it, become one record; rows of one id with several
answers become one record with several responses. What is wrong is told by row and column.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from spanwise.core import DataError
from spanwise.feedback.formats.tables.cells import is_blank, said, several, structure, text_of
from spanwise.feedback.formats.tables.feedback import WrongMarksError, passages_of, record_value
from spanwise.feedback.formats.tables.layout import Columns, columns_of
from spanwise.feedback.formats.tables.marks import TableReading
from spanwise.feedback.formats.tables.rows import Row, open_table
from spanwise.feedback.problems import FieldError, Place, Problem

T = TypeVar("T")
Check = Callable[[Any, Place], T | list[Problem]]
"""Makes a record of a value, or says what is wrong with it."""

_FIELDS = {
    "PromptRecord": {"id": "id", "prompt": "prompt"},
    "DemonstrationRecord": {"id": "id", "prompt": "prompt", "response": "completion"},
    "EditPair": {"id": "id", "prompt": "prompt", "response": "original", "correction": "edited"},
}
"""Which meaning becomes which field of the records that hold no marks."""
_SHARED = ("annotator", "model")


def outcomes_of(
    source: Any, kind: str, check: Check[T], reading: TableReading | None = None
) -> Iterator[tuple[Place, T | list[Problem]]]:
    """The place of every record of a table with the record, or with all that is wrong with it.

    `source` is a path or an object with rows, `kind` the name of the records' class. Raises DataError for what is no
    table, or whose columns do not say which of them holds the answers.
    """
    how = reading or TableReading()
    table = open_table(source, how.layout.sheet)
    if kind not in ("FeedbackRecord", *_FIELDS):
        columns = Columns({}, (), (), table.columns)
    else:
        columns = columns_of(table.columns, how.layout, kind, table.name)
    judged = columns.has_marks or columns.missing or {"correction", "chosen", "rejected"} & columns.by_meaning.keys()
    if kind == "DemonstrationRecord" and judged:
        remedy = "convert it with `spanwise feedback convert`, or leave such columns out"
        raise DataError(f"{table.name}: holds feedback, so that bad answers would be imitated; {remedy}.")
    for rows in _groups(table.rows, columns, merge=kind == "FeedbackRecord"):
        place = _place(table.name, rows)
        if rows[0].damage:
            yield place, [Problem(place, rows[0].damaged, rows[0].damage)]
            continue
        try:
            value = _value(kind, rows, columns, how, table.name)
        except FieldError as error:
            yield place, [Problem(place, error.place, error.reason)]
            continue
        except WrongMarksError as errors:
            yield place, [Problem(_at(place, row), error.place, error.reason) for row, error in errors.errors]
            continue
        outcome = check(value, place)
        yield place, _by_column(outcome, columns) if isinstance(outcome, list) else outcome


def _groups(rows: Any, columns: Columns, *, merge: bool) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        if group and not (merge and _belongs(group[-1], row, columns)):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _belongs(first: Row, second: Row, columns: Columns) -> bool:
    """Whether a row goes on with what the one before it says: by their id, else by prompt, answer and annotator."""
    if first.damage or second.damage:
        return False
    if "id" in columns:
        ids = [row.cells.get(columns.by_meaning["id"]) for row in (first, second)]
        return not is_blank(ids[0]) and ids[0] == ids[1]
    keys = [columns.by_meaning[m] for m in ("prompt", "messages", "response", *_SHARED) if m in columns]
    same = all(first.cells.get(key) == second.cells.get(key) for key in keys)
    return columns.has_marks and "response" in columns and same and _agree(first, second, columns)


def _agree(first: Row, second: Row, columns: Columns) -> bool:
    """Whether nothing that is said once of an answer differs: else these are two rows that look alike."""
    names = [columns.by_meaning[m] for m in ("correction", "checked", "score", "passages") if m in columns]
    cells = [(first.cells.get(name), second.cells.get(name)) for name in names]
    return all(a == b or is_blank(a) or is_blank(b) for a, b in cells)


def _value(kind: str, rows: list[Row], columns: Columns, how: TableReading, table: str) -> dict[str, Any]:
    cell = rows[0].cells.get(columns.by_meaning.get("id", ""))
    name = f"{Path(table.strip('<>')).name.split('.')[0]}-{rows[0].number:06d}"
    name = name if is_blank(cell) else text_of(cell, columns.by_meaning["id"])
    if kind == "FeedbackRecord":
        return record_value(name, rows, columns, how)
    if kind in _FIELDS:
        return _simple(kind, rows[0], columns)
    return {key: structure(cell, key) for key, cell in rows[0].cells.items() if not is_blank(cell)}


def _simple(kind: str, row: Row, columns: Columns) -> dict[str, Any]:
    """A prompt, a demonstration or an edit pair."""
    value: dict[str, Any] = {}
    for meaning, key in _FIELDS[kind].items():
        column = columns.by_meaning.get(meaning, "")
        cell = row.cells.get(column)
        if not is_blank(cell):
            value[key] = cell if isinstance(cell, list) else text_of(cell, column)
        elif key == "edited":
            value[key] = _nothing_kept(row, columns, column)
    for meaning in ("messages", "tools", "passages", "references"):
        column = columns.by_meaning.get(meaning, "")
        if not is_blank(cell := row.cells.get(column)):
            parts = passages_of(cell, column) if meaning == "passages" else several(cell, column, "\0")
            value |= {} if meaning == "references" and kind == "EditPair" else {meaning: parts}
    kept = {name: cell for name, cell in row.cells.items() if name in columns.rest and not is_blank(cell)}
    return value | ({"provenance" if kind == "EditPair" else "metadata": {"columns": kept}} if kept else {})


def _nothing_kept(row: Row, columns: Columns, column: str) -> str:
    """The empty correction, where the row says that nothing was kept: an empty cell alone says that nobody edited."""
    beside = columns.by_meaning.get("kept_nothing", "")
    if not said(row.cells.get(beside), beside):
        remedy = "fill it in, drop the row, or say yes in a column kept_nothing where nothing was worth keeping"
        raise FieldError(column or "correction", f"holds no correction; {remedy}.")
    return ""


def _place(table: str, rows: list[Row]) -> Place:
    cells = [row.cells for row in rows]
    raw = json.dumps(cells[0] if len(cells) == 1 else cells, ensure_ascii=False).encode(errors="replace")
    return Place(table, rows[0].line, raw, row=rows[0].number)


def _at(place: Place, row: Row) -> Place:
    """The same record, told by another of its rows."""
    return dataclasses.replace(place, line=row.line, row=row.number)


def _by_column(problems: list[Problem], columns: Columns) -> list[Problem]:
    """The same, naming the column where a field was read from one."""
    fields = {"text": "response", "correction": "correction", "model": "model"}
    renamed: list[Problem] = []
    for problem in problems:
        first, _, last = problem.field.rpartition(".")
        meaning = fields.get(last, "") if first.startswith("responses.") else problem.field
        renamed.append(Problem(problem.place, columns.by_meaning.get(meaning, problem.field), problem.reason))
    return renamed
