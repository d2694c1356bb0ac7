"""One foreign file written as another, without a silent loss.

By default a file with bad records is refused and nothing is written; told to skip them, `convert` puts each one beside
the output with the reasons. What the target has no place for is counted.
"""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanwise.core import DataError, write_jsonl
from spanwise.feedback.formats.contract import Reading, Unit
from spanwise.feedback.formats.registry import Format, get_format, not_allowed, read_feedback, write_feedback
from spanwise.feedback.formats.tables import Layout
from spanwise.feedback.problems import Place, Problem, ReadResult
from spanwise.feedback.schema import FeedbackRecord


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
    left_out: dict[str, int]
    """What else the target has no place for, in words, and how often."""
    unread: dict[str, int] = field(default_factory=dict[str, int])
    """Feedback of the source that is not read, by kind."""


def convert(
    source: Path,
    form: str,
    output: Path,
    to: str,
    *,
    skip_bad: bool = False,
    allow_loss: Collection[str] = (),
    unit: Unit = "auto",
    layout: Layout | None = None,
) -> Conversion:
    """Writes the records of `source` to `output`.

    With bad records it writes nothing, unless `skip_bad`: then the good ones go to `output` and the others, as
    they stood and with the reasons, to `output` + ".rejected.jsonl". Nor does it write where `source` holds feedback
    that is not read, unless `allow_loss` names its kind. `unit` is what the offsets of `source` count, `layout` what
    the columns of a table mean. Raises ConfigError for formats that cannot be read or written, DataError when `source`
    is no file of its format or is empty.
    """
    target = get_format(to, "written")
    reading = Reading(unit, layout=layout or Layout(), allow_loss=allow_loss)
    result = _holdable(read_feedback(source, form, reading=reading), target, source)
    if result.is_empty:
        raise DataError(f"{source}: holds no records; check the file.")
    rejected = result.rejected
    if (rejected and not skip_bad) or not_allowed(result.unread, allow_loss):
        return Conversion(0, result.problems, len(rejected), None, {}, {}, result.unread)
    beside = output.with_name(f"{output.name}.rejected.jsonl") if rejected else None
    if beside:
        write_jsonl(beside, [rejected_row(place, problems) for place, problems in rejected.items()])
    written = write_feedback(output, to, result.records)
    unkept = target.unkept(result.records) if target.unkept else {}
    return Conversion(written.rows, result.problems, len(rejected), beside, unkept, written.left_out, result.unread)


def rejected_row(place: Place, problems: Sequence[Problem]) -> dict[str, Any]:
    """A rejected record as it stood, with what is wrong with it."""
    reasons = [{"field": problem.field, "reason": problem.reason} for problem in problems]
    try:
        raw = {"raw": place.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(place.raw).decode()}
    item = {} if place.item is None else {"item": place.item}
    item |= {} if place.row is None else {"row": place.row}
    return {"file": place.file, "line": place.line, **item, "problems": reasons, **raw}


def _holdable(result: ReadResult[FeedbackRecord], target: Format, source: Path) -> ReadResult[FeedbackRecord]:
    """Moves the records that the target cannot hold to the problems."""
    if target.refusal is None:
        return result
    kept: ReadResult[FeedbackRecord] = ReadResult([], list(result.problems), unread=result.unread)
    for record, line in zip(result.records, result.lines, strict=True):
        reason = target.refusal(record)
        if reason is None:
            kept.records.append(record)
            kept.lines.append(line)
        else:
            place = Place(str(source), line, record.model_dump_json().encode())
            kept.problems.append(Problem(place, "", reason))
    kept.problems.sort(key=lambda problem: problem.line)
    return kept
