"""Our own JSONL, feedback records or edit pairs a line: nothing is lost on the way in, nor between the two kinds.

A pair is a record with one corrected response; what a record has no field for (editor, categories and reasons of the
changes) lies in its provenance and comes back as long as id and texts are the same.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spanwise.feedback.edits import EditPair, pairs_of_corrections
from spanwise.feedback.files import iter_records, write_records
from spanwise.feedback.formats.contract import Exported, Outcome, Reading, Written
from spanwise.feedback.problems import Place
from spanwise.feedback.schema import FeedbackRecord, Response

_KEPT = {"id", "editor", "spans"}


def read(path: Path, _reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """The records of the file."""
    return iter_records(path, FeedbackRecord)


def read_pairs(path: Path, _reading: Reading) -> Iterator[Outcome[EditPair]]:
    """The pairs of the file."""
    return iter_records(path, EditPair)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes all records."""
    return Written(write_records(path, records))


def all_of(pairs: Iterable[EditPair]) -> Exported[EditPair]:
    """All pairs as they are."""
    return Exported(list(pairs), {})


def record_of_pair(pair: EditPair, place: Place) -> FeedbackRecord:
    """A record of one response and its correction; a pair without an id is called by its place."""
    name = pair.id or f"{Path(place.file).name.split('.')[0]}-{place.line:06d}"
    kept = {"record": name} | pair.model_dump(mode="json", include=_KEPT)
    return FeedbackRecord(
        id=name,
        prompt=pair.prompt,
        passages=pair.passages,
        responses=(Response(text=pair.original, correction=pair.edited),),
        annotator=pair.editor.name or None,
        provenance=pair.provenance | {"pair": kept},
    )


def pairs_of_record(record: FeedbackRecord) -> Iterator[EditPair]:
    """The corrections of a record as pairs; the very pair that the record was made of, where its texts still fit."""
    kept, response = record.provenance.get("pair"), record.responses[0]
    same = isinstance(kept, dict) and kept.get("record") == record.id and len(record.responses) == 1
    if isinstance(kept, dict) and same and response.correction is not None:
        try:
            yield _pair(record, kept, response.text, response.correction)
        except ValidationError:  # the correction was changed since, so that the kept spans do not fit it
            pass
        else:
            return
    yield from pairs_of_corrections([record])


def _pair(record: FeedbackRecord, kept: dict[str, Any], original: str, edited: str) -> EditPair:
    provenance = {name: value for name, value in record.provenance.items() if name != "pair"}
    texts = {"prompt": record.prompt, "original": original, "edited": edited}
    fields = {name: kept[name] for name in _KEPT & kept.keys()}
    return EditPair.model_validate({**fields, **texts, "passages": record.passages, "provenance": provenance})
