"""Files of feedback by the name of their format: read any, write any, convert one into another.

A conversion loses nothing: by default it refuses a file with bad records and writes nothing; told to skip them,
it puts each one beside the output with the reasons.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from spanwise.core import DataError, write_jsonl
from spanwise.feedback.files import read_records, write_records
from spanwise.feedback.formats.qa_feedback import import_records
from spanwise.feedback.formats.qa_feedback_export import item_from_record, unkept, write_items
from spanwise.feedback.problems import Place, Problem, ReadResult
from spanwise.feedback.schema import FeedbackRecord


class Format(StrEnum):
    """The formats that feedback is read from and written to."""

    SPANWISE = "spanwise"
    QA_FEEDBACK = "qa-feedback"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did."""

    written: int
    problems: list[Problem]
    rejected: int
    rejected_path: Path | None
    """Where the rejected records lie, if there are any and the others were written."""
    not_kept: dict[str, int]
    """Fields that the target has no place for, though they are no feedback, and in how many records."""


def read_feedback(path: Path, form: Format) -> ReadResult[FeedbackRecord]:
    """The good records of `path` and all problems; raises DataError when it is no file of that format."""
    return import_records(path) if form is Format.QA_FEEDBACK else read_records(path, FeedbackRecord)


def write_feedback(path: Path, form: Format, records: Iterable[FeedbackRecord]) -> int:
    """Writes the records beside-then-rename and returns how many; raises DataError for what the format cannot hold."""
    return write_items(path, records) if form is Format.QA_FEEDBACK else write_records(path, records)


def convert(source: Path, form: Format, output: Path, to: Format, *, skip_bad: bool = False) -> Conversion:
    """Writes the records of `source` to `output`.

    With bad records it writes nothing, unless `skip_bad`: then the good ones go to `output` and the others, as
    they stood and with the reasons, to `output` + ".rejected.jsonl".
    """
    result = _holdable(read_feedback(source, form), source) if to is Format.QA_FEEDBACK else read_feedback(source, form)
    rejected = result.rejected
    if rejected and not skip_bad:
        return Conversion(0, result.problems, len(rejected), None, {})
    beside = output.with_name(f"{output.name}.rejected.jsonl") if rejected else None
    if beside:
        write_jsonl(beside, [rejected_row(place, problems) for place, problems in rejected.items()])
    written = write_feedback(output, to, result.records)
    lost = unkept(result.records) if to is Format.QA_FEEDBACK else {}
    return Conversion(written, result.problems, len(rejected), beside, lost)


def rejected_row(place: Place, problems: Sequence[Problem]) -> dict[str, Any]:
    """A rejected record as it stood, with what is wrong with it."""
    reasons = [{"field": problem.field, "reason": problem.reason} for problem in problems]
    try:
        raw = {"raw": place.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(place.raw).decode()}
    item = {} if place.item is None else {"item": place.item}
    return {"file": place.file, "line": place.line, **item, "problems": reasons, **raw}


def _holdable(result: ReadResult[FeedbackRecord], source: Path) -> ReadResult[FeedbackRecord]:
    """Moves the records that QA-Feedback cannot hold to the problems."""
    kept: ReadResult[FeedbackRecord] = ReadResult([], list(result.problems))
    for record, line in zip(result.records, result.lines, strict=True):
        try:
            item_from_record(record)
        except DataError as error:
            place = Place(str(source), line, record.model_dump_json().encode())
            kept.problems.append(Problem(place, "", str(error)))
        else:
            kept.records.append(record)
            kept.lines.append(line)
    kept.problems.sort(key=lambda problem: problem.line)
    return kept
