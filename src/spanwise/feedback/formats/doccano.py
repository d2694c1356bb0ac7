"""doccano: JSON lines of a text with labelled offsets, or with a rewritten text.

One response per line: the first that was marked. doccano counts UTF-16 units unless told to count graphemes, and
keeps other columns as metadata; there travels the rest of the record.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_jsonl
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Unit, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.offsets import utf16
from spanwise.feedback.problems import Place
from spanwise.feedback.schema import FeedbackRecord


def read(path: Path, unit: Unit) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per line."""
    return converted(path, _records, unit)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes one line per record, offsets in UTF-16 units."""
    return Written(write_jsonl(path, map(_row, records)))


def _row(record: FeedbackRecord) -> dict[str, Any]:
    shown = _shown(record)
    response = record.responses[shown]
    labels = [[utf16(response.text, m.start), utf16(response.text, m.end), m.category] for m in response.spans]
    corrected = [] if response.correction is None else [response.correction]
    carried = {"response": shown, KEY: packed(record)}
    return {"id": record.id, "text": response.text, "label": labels or corrected, "prompt": record.prompt, **carried}


def _shown(record: FeedbackRecord) -> int:
    marked = [k for k, response in enumerate(record.responses) if response.marked or response.correction is not None]
    return marked[0] if marked else 0


def _records(value: Any, place: Place, unit: Unit) -> Iterator[FeedbackRecord]:
    metadata = value.get("meta") or value.get("metadata") or value
    carried: str | None = metadata.get(KEY)
    shown = int(metadata.get("response", 0)) if carried else 0
    text: str = value.get("text", value.get("data"))
    others = FeedbackRecord.model_validate_json(carried).responses if carried else ()
    texts = [response.text for response in others] or [text]
    texts[shown] = text
    yield unpacked(
        Foreign(
            id=str(value.get("id") or f"line-{place.line}"),
            prompt=str(metadata.get("prompt", "")),
            responses=tuple(texts),
            answers={shown: _answer(value)} if {"label", "labels", "entities"} & value.keys() else {},
            provenance={"format": "doccano"},
            carried=carried,
        ),
        unit,
    )


def _answer(value: dict[str, Any]) -> Answer:
    if "entities" in value:
        spans = [(e["start_offset"], e["end_offset"], str(e["label"])) for e in value["entities"]]
        return Answer(spans=tuple(spans))
    labels: list[Any] = value.get("label", value.get("labels")) or []
    if labels and all(isinstance(label, str) for label in labels):
        return Answer(correction=labels[0])
    return Answer(spans=tuple((start, end, str(label)) for start, end, label in labels))
