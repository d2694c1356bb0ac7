"""Thresh: a source, a target and edits; those with places in the target are spans.

Edits without a place in the target (deletions, missing information) and the finer answers of an edit have no field in
a record: they are kept in the provenance and written back from there.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.annotate.exchange.adapters.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.annotate.exchange.adapters.shared import Outcome, Unit, Written, converted, utf16
from spanwise.core import write_text
from spanwise.feedback import FeedbackRecord, Place


def read(path: Path, unit: Unit) -> Iterator[Outcome]:
    """One record per entry."""
    return converted(path, _records, unit)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes one entry per record, about its first response."""
    rows = [_row(record) for record in records]
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1))
    return Written(len(rows))


def _row(record: FeedbackRecord) -> dict[str, Any]:
    response = record.responses[0]
    edits = [
        {
            "id": number,
            "category": m.category,
            "output_idx": [[utf16(response.text, m.start), utf16(response.text, m.end)]],
            "annotation": {"explanation": m.note} if m.note else {},
        }
        for number, m in enumerate(response.spans)
    ]
    source = record.references[0] if record.references else ""
    shown = {"id": record.id, "context": record.prompt, "source": source, "target": response.text, "edits": edits}
    return shown | {"metadata": {KEY: packed(record)}}


def _records(value: Any, place: Place, unit: Unit) -> Iterator[FeedbackRecord]:
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    carried: str | None = metadata.get(KEY)
    edits: list[dict[str, Any]] = value.get("edits") or []
    spans = [
        (start, end, str(edit["category"]))
        for edit in edits
        for start, end in edit.get("output_idx") or []
        if start < end
    ]
    target: str = value["target"]
    others = FeedbackRecord.model_validate_json(carried).responses[1:] if carried else ()
    yield unpacked(
        Foreign(
            id=str(value.get("id", f"{Path(place.file).name.split('.')[0]}-{place.item or place.line:06d}")),
            prompt=str(value.get("context") or value["source"]),
            responses=(target, *(response.text for response in others)),
            answers={0: Answer(spans=tuple(spans))} if "edits" in value else {},
            references=(str(value["source"]),) if value.get("context") and value.get("source") else (),
            provenance={"format": "thresh", "edits": edits, "metadata": metadata},
            carried=carried,
        ),
        unit,
    )
