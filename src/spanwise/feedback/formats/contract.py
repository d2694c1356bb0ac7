"""What every reader and writer of a foreign file promises: the place of each record, and what was left out.

A reader yields the place of every record in its file with the record, or with all that is wrong with it; feedback that
it does not understand it counts by kind. It raises DataError only for a file that is none of its format. A writer says
what it wrote and what its format has no place for. Neither knows a database.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from spanwise.feedback.edits import EditPair
from spanwise.feedback.formats.offsets import Unit
from spanwise.feedback.formats.tables import Layout
from spanwise.feedback.problems import Place, Problem
from spanwise.feedback.record import Record
from spanwise.feedback.schema import FeedbackRecord

Kind = Literal["marks", "edits", "preferences", "ratings", "answers"]
"""What the records of a format may say; answers are such that nobody judged."""

T = TypeVar("T")
RecordT_co = TypeVar("RecordT_co", bound=Record, covariant=True)
Outcome = tuple[Place, T | list[Problem]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read, and what was met on the way."""

    unit: Unit = "auto"
    unread: Counter[str] = field(default_factory=Counter[str])
    """Feedback of the file that became part of no record and of no problem: how often, by kind."""
    layout: Layout = field(default_factory=Layout)
    """Which column of a table means what."""
    allow_loss: Collection[str] = ()
    """Kinds of feedback that may stay unread; readers that name what they cannot read one by one ask for it."""

    def lost(self, kind: str, number: int = 1) -> None:
        """Counts feedback that is not read."""
        if number:
            self.unread[kind] += number


Reader = Callable[[Path, Reading], Iterator[Outcome[T]]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer did."""

    rows: int
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    """What the format has no place for, in words, and how often."""


Writer = Callable[[Path, Iterable[FeedbackRecord]], Written]


@dataclass(frozen=True, slots=True)
class Exported(Generic[RecordT_co]):
    """What becomes of edit pairs: the records to write, and how many pairs are left out for which reason."""

    records: Sequence[RecordT_co]
    left_out: dict[str, int]


PairExport = Callable[[Iterable[EditPair]], Exported[Record]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row of the table."""

    name: str
    sentence: str
    """What it is, where it is not clear from the name."""
    holds: tuple[Kind, ...]
    read: Reader[FeedbackRecord] | None = None
    read_pairs: Reader[EditPair] | None = None
    """For formats of edits, and for those whose edits are more than the corrections of their marks."""
    write: Writer | None = None
    export_pairs: PairExport | None = None
    """For formats of edits: what to write of pairs, one a line."""
    cannot_keep: str = ""
    """What its writer leaves out; empty where everything comes back."""
    refusal: Callable[[FeedbackRecord], str | None] | None = None
    """Why a record cannot be held at all, for formats that would have to cut it down; `convert` asks beforehand."""
    unkept: Callable[[Iterable[FeedbackRecord]], dict[str, int]] | None = None
    """In how many records are fields without a place, though they are no feedback."""
    also: tuple[str, ...] = ()
    """Other names that commands know it by."""
