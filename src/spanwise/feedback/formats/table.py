"""Tables as feedback: one row an answer, one quote of it, or one pair; written with the marks as JSON.

How rows are read, the room `tables` says. What is written has a row for every response and comes back whole.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.tables import Layout, TableReading, is_table, outcomes_of, write_rows
from spanwise.feedback.problems import Place, Problem, validated, with_unique_ids
from spanwise.feedback.schema import FeedbackRecord

_OF_RECORD = ("messages", "tools", "passages", "preferences", "references", "provenance")
"""Fields of the record that stand in its first row alone, as JSON."""
COLUMNS = (
    "id", "response_number", "prompt", "response", "checked", "marks", "missing", "correction", "kept_nothing",
    "annotator", "model", *_OF_RECORD,
)  # fmt: skip
"""The columns of a table that we write."""


def holds(path: Path) -> bool:
    """Whether a path is that of a table."""
    return is_table(path)


def reading_of(layout: dict[str, Any], allow_loss: Collection[str]) -> Reading:
    """How to read a table of that layout; raises ConfigError for values that are none."""
    return Reading(layout=Layout.from_values(layout, place="load_feedback"), allow_loss=allow_loss)


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of a table."""
    return read_rows(path, reading)


def read_rows(source: Any, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of a file, a frame, a data set or a list of rows."""
    how = TableReading(reading.layout, reading.unit, reading.allow_loss, reading.unread)
    outcomes = outcomes_of(source, "FeedbackRecord", _record, how)
    return with_unique_ids(outcomes)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes a row for every response; the columns are those by which tables are read."""
    written = 0

    def rows() -> Iterator[dict[str, str | int | None]]:
        nonlocal written
        for record in records:
            written += 1
            yield from _rows(record)

    write_rows(path, COLUMNS, rows())
    return Written(written)


def _record(value: Any, place: Place) -> FeedbackRecord | list[Problem]:
    return validated(FeedbackRecord, value, place)


def _rows(record: FeedbackRecord) -> Iterator[dict[str, str | int | None]]:
    value = record.model_dump(mode="json")
    shared = {name: _json(value[name]) for name in _OF_RECORD if value.get(name)}
    same = {"id": record.id, "prompt": record.prompt, "annotator": record.annotator}
    for number, response in enumerate(record.responses):
        held = value["responses"][number]
        yield {
            **same,
            **(shared if number == 0 else {}),
            "response_number": number,
            "response": response.text,
            "checked": "yes" if response.marked else "no",
            "marks": _json(held["spans"]),
            "missing": _json(held["missing"]),
            "correction": response.correction,
            "kept_nothing": "yes" if response.correction == "" else None,
            "model": response.model,
        }


def _json(value: Any) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None
