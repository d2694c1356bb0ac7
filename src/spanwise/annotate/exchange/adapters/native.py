"""Our own JSONL of feedback records: nothing is lost either way."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from spanwise.annotate.exchange.adapters.shared import Outcome, Unit, Written
from spanwise.feedback import FeedbackRecord, iter_records, write_records


def read(path: Path, _unit: Unit) -> Iterator[Outcome]:
    """The records of the file."""
    return iter_records(path, FeedbackRecord)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes all records."""
    return Written(write_records(path, records))
