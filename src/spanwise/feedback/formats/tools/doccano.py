"""doccano: JSON lines of a text with labelled offsets, or with a rewritten text.

One response per line: the first that was marked. doccano counts UTF-16 units unless told to count graphemes, and
keeps other columns as metadata; there travels the rest of the record. It does not say whether somebody looked at a
text without labels, so such a text is clean only where it was marked before; labels without a place are classes and
counted, unless they are the text itself with changes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_jsonl
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, is_rewrite, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.offsets import utf16
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Response

_LABELS = ("label", "labels", "entities", "annotations")
"""Where its versions and exports keep what people marked; the last is the oldest."""


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per line."""
    return converted(path, _records, reading)


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


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    metadata = value.get("meta") or value.get("metadata") or value
    carried: str | None = metadata.get(KEY)
    shown = int(metadata.get("response", 0)) if carried else 0
    text: Any = value.get("text", value.get("data"))
    if not isinstance(text, str):
        raise FieldError("text", "is missing or no text; name the column of the answer text.")
    others = FeedbackRecord.model_validate_json(carried).responses if carried else (Response(text=text),)
    texts = [response.text for response in others]
    texts[shown] = text
    for name in ("relations", "Comments", "comments"):
        reading.lost(name.lower(), len(value.get(name) or ()))
    yield unpacked(
        Foreign(
            id=str(value.get("id") or f"line-{place.line}"),
            prompt=str(metadata.get("prompt", "")),
            responses=tuple(texts),
            answers={shown: _answer(value, text, others[shown], reading)} if value.keys() & set(_LABELS) else {},
            provenance={"format": "doccano"},
            carried=carried,
            documented="utf-16",
        ),
        reading.unit,
    )


def _answer(value: dict[str, Any], text: str, before: Response, reading: Reading) -> Answer:
    """What the labels of a line say; `before` is the response as it travelled, or an unmarked one."""
    lists = {name: value.get(name) or [] for name in _LABELS}
    for name, listed in lists.items():
        if not isinstance(listed, list):
            raise FieldError(name, "must be a list of labels; export it again as JSONL.")
    labels = [label for listed in lists.values() for label in listed]
    spans = [span for label in labels if (span := _span(label)) is not None]
    written = [label.get("text") if isinstance(label, dict) else label for label in labels if _span(label) is None]
    texts = [t for t in written if isinstance(t, str) and (t == before.correction or is_rewrite(text, t))]
    reading.lost("labels without a place", len(written) - len(texts[:1]))
    looked = bool(spans) or (before.marked and not written)
    return Answer(spans=tuple(spans) if looked else None, correction=texts[0] if texts else None)


def _span(label: Any) -> tuple[int, int, str] | None:
    """Start, end and name of a label, or None where it has no place."""
    if isinstance(label, dict) and "start_offset" in label:
        return label["start_offset"], label["end_offset"], str(label["label"])
    if isinstance(label, list):
        start, end, name = label
        return start, end, str(name)
    return None
