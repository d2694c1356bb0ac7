"""QA-Feedback files of Wu et al. (2023); the reading and writing itself is `feedback.importers`'."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from spanwise.annotate.exchange.adapters.shared import Outcome, Unit, Written, count
from spanwise.core import DataError
from spanwise.feedback import FeedbackRecord, Place, Preference
from spanwise.feedback.formats import import_records, item_from_record, write_items


def read(path: Path, _unit: Unit) -> Iterator[Outcome]:
    """The records of the file; their offsets are code points."""
    result = import_records(path)
    good = [(line, record) for line, record in zip(result.lines, result.records, strict=True)]
    for line, record in good:
        yield Place(str(path), line, b"", record.provenance.get("item")), record
    yield from result.rejected.items()


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes the records that the format can hold; the others are counted with the reason."""
    good: list[FeedbackRecord] = []
    reasons: list[str] = []
    for record in records:
        ordered = record.model_copy(update={"preferences": in_order(record.preferences)})
        try:
            item_from_record(ordered)
        except DataError as error:
            reasons.append(str(error).partition(": ")[2])
        else:
            good.append(ordered)
    return Written(write_items(path, good), count(reasons))


def in_order(preferences: tuple[Preference, ...]) -> tuple[Preference, ...]:
    """The same preferences with the earlier response first, whichever was shown first."""
    turned = {"first": "second", "second": "first", "tie": "tie"}
    straight = [
        p
        if p.first < p.second
        else Preference.model_validate({"first": p.second, "second": p.first, "winner": turned[p.winner]})
        for p in preferences
    ]
    return tuple(sorted(straight, key=lambda p: (p.first, p.second)))
