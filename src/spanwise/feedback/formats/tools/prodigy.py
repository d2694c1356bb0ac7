"""Prodigy: JSON lines of tasks with `spans` and the annotator's `answer`, as `db-out` writes and recipes read them.

A task that was accepted in a manual interface is finished, so one without spans is clean; where the interface is not
known to be one for spans, it is not. Rejected and ignored tasks and the answers of other interfaces (a label, options,
relations) are counted. Offsets are code points.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_jsonl
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import row_of, text_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Response

_MANUAL = ("ner_manual", "spans_manual")
"""Interfaces in which somebody goes through the whole text."""
_OTHER = ("label", "accept", "relations", "image", "choice")
_OWN = {"text", "spans", "tokens", "answer", "meta", "options", "_input_hash", "_task_hash"}


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per accepted or unanswered task."""
    return converted(path, _records, reading)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes one task per record, about its first response; several responses travel with it."""
    return Written(write_jsonl(path, map(_task, records)))


def _task(record: FeedbackRecord) -> dict[str, Any]:
    response = record.responses[0]
    spans = [{"start": m.start, "end": m.end, "label": m.category, "text": m.quote} for m in response.spans]
    answer = {"answer": "accept", "_view_id": "spans_manual"} if response.marked else {}
    return {"text": response.text, "spans": spans, "meta": {"prompt": record.prompt}, **answer, KEY: packed(record)}


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    answer, text = row.get("answer"), text_of(row, "text")
    carried: str | None = row.get(KEY)
    if answer not in (None, "accept", "reject", "ignore"):
        raise FieldError("answer", f"must be accept, reject or ignore (got {answer!r:.40}).")
    for name in _OTHER:
        said = row.get(name)
        reading.lost(f"answers of another interface ({name})", len(said) if isinstance(said, list) else bool(said))
    if answer in ("reject", "ignore"):
        reading.lost(f"tasks answered with {answer}")
        return
    before = FeedbackRecord.model_validate_json(carried).responses if carried else (Response(text=text),)
    spans = row.get("spans") or []
    labelled = [(span["start"], span["end"], str(span.get("label", ""))) for span in spans]
    if any(not label for _, _, label in labelled):
        raise FieldError("spans", "must each have a label.")
    finished = answer == "accept" and row.get("_view_id") in _MANUAL and "spans" in row
    if not carried:
        looked = answer == "accept" and (bool(labelled) or finished)
        reading.lost("spans of tasks that nobody answered", 0 if looked else len(labelled))
    else:
        looked = bool(labelled) or (before[0].marked and "spans" in row)
    quotes = tuple(span.get("text") if isinstance(span.get("text"), str) else None for span in spans)
    rest = {name: kept for name, kept in row.items() if name not in {*_OWN, *_OTHER, KEY} and not name.startswith("_")}
    meta: dict[str, Any] = row["meta"] if isinstance(row.get("meta"), dict) else {}
    person = row.get("_annotator_id") or row.get("_session_id")
    yield unpacked(
        Foreign(
            id=str(row.get("id") or place.line),
            prompt=str(row.get("prompt") or meta.get("prompt") or ""),
            responses=(text, *(response.text for response in before[1:])),
            answers={0: Answer(spans=tuple(labelled), quotes=quotes)} if looked else {},
            annotator=str(person) if person else None,
            provenance={"format": "prodigy", "meta": meta, **({"fields": rest} if rest else {})},
            carried=carried,
            documented="code-points",
        ),
        reading.unit,
    )
