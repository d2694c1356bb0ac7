"""One foreign file written as another, without a silent loss.

Records are read, checked and written one by one, so that a file of any size is converted in the same memory. By default
a file with bad records is refused and nothing is written; told to skip them, `convert` puts each one beside the output
with the reasons. What the target has no place for is counted.
"""

import base64
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from spanwise.core import DataError, write_jsonl
from spanwise.feedback.edits import EditPair
from spanwise.feedback.formats.contract import Format, Outcome, Reading, Unit
from spanwise.feedback.formats.registry import get_format, iter_edits, not_allowed, unique_feedback, write_feedback
from spanwise.feedback.formats.tables import Layout
from spanwise.feedback.problems import Place, Problem
from spanwise.feedback.schema import FeedbackRecord

T = TypeVar("T")


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
    read = checked(source, form, Reading(unit, layout=layout or Layout(), allow_loss=allow_loss))
    not_kept: Counter[str] = Counter()
    beside = output.with_name(f"{output.name}.rejected.jsonl")

    def good() -> Iterator[FeedbackRecord]:
        with _Rejected(beside if skip_bad else None) as rejected:
            for place, outcome in _holdable(read, target):
                if isinstance(outcome, list):
                    rejected.add(place, outcome)
                elif skip_bad or not read.rejected:
                    not_kept.update(target.unkept([outcome]) if target.unkept else {})
                    yield outcome
            if (read.rejected and not skip_bad) or not_allowed(read.unread, allow_loss):
                raise _RefusedError
            rejected.write()

    try:
        written = write_feedback(output, to, good())
    except _RefusedError:
        return Conversion(0, read.problems, read.rejected, None, {}, {}, read.unread)
    where = beside if read.rejected else None
    return Conversion(written.rows, read.problems, read.rejected, where, dict(not_kept), written.left_out, read.unread)


@dataclass(slots=True)
class Checked(Generic[T]):
    """A file that is read record by record, none of which is kept; the counts are those of what was read so far."""

    outcomes: Iterator[Outcome[T]]
    good: int = 0
    rejected: int = 0
    """Records that are not taken."""
    problems: list[Problem] = field(default_factory=list[Problem])
    """All reasons, without the records themselves: these alone grow with the file, where it is bad."""
    unread: Counter[str] = field(default_factory=Counter[str])

    def __iter__(self) -> Iterator[Outcome[T]]:
        for place, outcome in self.outcomes:
            if isinstance(outcome, list):
                self.refuse(cast("list[Problem]", outcome))
            else:
                self.good += 1
            yield place, outcome

    def records(self) -> Iterator[T]:
        """Goes through the file for its good records."""
        for _, outcome in self:
            if not isinstance(outcome, list):
                yield outcome

    def refuse(self, problems: list[Problem]) -> None:
        """Notes why a record is not taken."""
        self.rejected += 1
        self.problems += [replace(problem, place=replace(problem.place, raw=b"")) for problem in problems]


def checked(source: Path, form: str, reading: Reading) -> Checked[FeedbackRecord]:
    """Reads a file without keeping its records; going through it raises like `read_feedback`, and for an empty file."""
    return _checked(unique_feedback(source, form, reading), source, reading)


def checked_edits(source: Path, form: str, reading: Reading) -> Checked[EditPair]:
    """The same of a file's edit pairs; raises like `read_edits`."""
    return _checked(iter_edits(source, form, reading), source, reading)


def _checked(outcomes: Iterator[Outcome[T]], source: Path, reading: Reading) -> Checked[T]:
    read = Checked[T](iter(()), unread=reading.unread)

    def filled() -> Iterator[Outcome[T]]:
        yield from outcomes
        if not (read.good or read.rejected or reading.unread):
            raise DataError(f"{source}: holds no records; check the file.")

    read.outcomes = filled()
    return read


class _RefusedError(Exception):
    """Nothing is to be written."""


class _Rejected:
    """What a conversion leaves out, kept on disk until the file of the others is whole."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.number = path, 0

    def __enter__(self) -> "_Rejected":
        self._rows = tempfile.TemporaryFile("w+", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, place: Place, problems: Sequence[Problem]) -> None:
        """Keeps a record as it stood, with what is wrong with it."""
        if self.path is not None:
            self.number += 1
            self._rows.write(json.dumps(rejected_row(place, problems)) + "\n")

    def write(self) -> None:
        """Writes what was kept to its path, if it is anything."""
        if self.path is not None and self.number:
            self._rows.seek(0)
            write_jsonl(self.path, map(json.loads, self._rows))


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


def _holdable(read: Checked[FeedbackRecord], target: Format) -> Iterator[Outcome[FeedbackRecord]]:
    """The same, with a problem in place of every record that the target cannot hold."""
    for place, outcome in read:
        reason = None if isinstance(outcome, list) or target.refusal is None else target.refusal(outcome)
        if reason is None:
            yield place, outcome
            continue
        problems = [Problem(place, "", reason)]
        read.good -= 1
        read.refuse(problems)
        yield place, problems
