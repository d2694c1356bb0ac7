"""Thresh's JSON: one list of {source, target, edits}, read as marks or as edit pairs and written from marks.

As marks, edits with places in the target are spans; those without one (deletions, missing information) are counted, and
stand with all finer answers in the provenance. Thresh does not say whether somebody looked at a target, so one without
places is clean only where it was marked before. As pairs, two kinds hold edits: those that mark how
the target was made from the source (insertion, deletion, substitution, ...), and those that say a `correction` for
spans of the target (ERRANT). Other sets mark spans without an edit; their items are problems there.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from spanwise.core import SpanError, write_text
from spanwise.feedback.edits import Editor, EditPair, edit_pair
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted, read_items
from spanwise.feedback.formats.offsets import utf16
from spanwise.feedback.problems import Place, Problem, validated
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.text import Span, apply_edit, normalize_newlines

_MADE_FROM_SOURCE = {"insertion", "deletion", "substitution", "substitute", "reorder", "structure", "split"}
_CORRECTIONS = {"missing", "unnecessary", "replacement"}


class _Mark(BaseModel):
    model_config = ConfigDict(extra="allow")

    category: str
    output_idx: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    annotation: dict[str, Any] | None = None


class _Item(BaseModel):
    model_config = ConfigDict(extra="allow")

    source: str
    target: str
    context: str = ""
    edits: list[_Mark]
    metadata: dict[str, Any] = Field(default_factory=dict)


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per entry."""
    return converted(path, _records, reading)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes one entry per record, about its first response, and `path` + ".interface.yml", which shows them."""
    kept = list(records)
    write_text(path, json.dumps([_row(record) for record in kept], ensure_ascii=False, indent=1))
    write_text(path.with_name(f"{path.name}.interface.yml"), interface(kept))
    return Written(len(kept))


def interface(records: Sequence[FeedbackRecord]) -> str:
    """Thresh's description of the marks: one kind of edit per category, a span of the target with an explanation."""
    names = sorted({mark.category for record in records for mark in record.responses[0].spans})
    asked = {"name": "explanation", "label": "Why?", "question": "Why?", "options": "textarea"}
    shape = {"type": "single_span", "enable_input": False, "enable_output": True, "annotation": [asked]}
    edits = [{"name": name, "label": name, **shape} for name in names]
    values = {"template_name": "spanwise", "template_label": "Spanwise", "edits": edits}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def read_pairs(path: Path, _reading: Reading) -> Iterator[Outcome[EditPair]]:
    """One pair per item; raises DataError when the file holds no JSON list."""
    for place, value in read_items(path):
        if isinstance(value, Problem):
            yield place, [value]
            continue
        item = validated(_Item, value, place)
        yield place, item if isinstance(item, list) else _pair(item, value, place)


def _row(record: FeedbackRecord) -> dict[str, Any]:
    response = record.responses[0]
    edits = [
        {
            "id": number,
            "category": m.category,
            "output_idx": [[utf16(response.text, m.start), utf16(response.text, m.end)]],
            "annotation": {"explanation": m.note} if m.note else None,
        }
        for number, m in enumerate(response.spans)
    ]
    source = record.references[0] if record.references else ""
    shown = {"id": record.id, "context": record.prompt, "source": source, "target": response.text, "edits": edits}
    return shown | {"metadata": {KEY: packed(record)}}


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
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
    reading.lost("errors without a place", sum(not _has_place(edit) for edit in edits))
    target: str = value["target"]
    before, *others = FeedbackRecord.model_validate_json(carried).responses if carried else (Response(text=target),)
    looked = bool(spans) or ("edits" in value and before.marked and not edits)
    yield unpacked(
        Foreign(
            id=_name(place),  # ids of Thresh's own sets come several times: each counts within one annotated text
            prompt=str(value.get("context") or value["source"]),
            responses=(target, *(response.text for response in others)),
            answers={0: Answer(spans=tuple(spans))} if looked else {},
            references=(str(value["source"]),) if value.get("context") and value.get("source") else (),
            provenance={"format": "thresh", "id": value.get("id"), "edits": edits, "metadata": metadata},
            carried=carried,
            documented="utf-16" if carried else "auto",
        ),
        reading.unit,
    )


def _has_place(edit: dict[str, Any]) -> bool:
    return any(start < end for start, end in edit.get("output_idx") or [])


def _pair(item: _Item, value: dict[str, Any], place: Place) -> EditPair | list[Problem]:
    categories = {mark.category for mark in item.edits}
    try:
        if not categories:
            return [Problem(place, "edits", "is empty, so that nothing says how the target was made: it is no pair.")]
        if categories <= _CORRECTIONS:
            texts = item.target, _corrected(item)
        elif categories <= _MADE_FROM_SOURCE:
            texts = item.source, item.target
        else:
            other = ", ".join(sorted(categories - _MADE_FROM_SOURCE))
            return [Problem(place, "edits", f"marks spans ({other}) but no edit: there is no pair in this item.")]
        return edit_pair(
            *map(normalize_newlines, texts),
            id=_name(place),
            prompt=normalize_newlines(item.context),
            editor=Editor(kind="unknown", details=item.metadata),
            provenance={"format": "thresh", "file": Path(place.file).name, "item": place.item, "edits": value["edits"]},
        )
    except ValueError as error:  # of pydantic and of spans: texts or marks that cannot be stored or applied
        unkept = "holds text that no file keeps; remove NUL and lone surrogates."
        reason = str(error) if isinstance(error, SpanError) else unkept
        return [Problem(place, "edits", reason)]


def _name(place: Place) -> str:
    """An id made of the file's name and the entry's position."""
    position = place.line if place.item is None else place.item
    return f"{Path(place.file).name.split('.')[0]}-{position:06d}"


def _corrected(item: _Item) -> str:
    changes: list[tuple[Span, str]] = []
    for mark in item.edits:
        start, end = (_inside(offset, item.target) for offset in (mark.output_idx or [[0, 0]])[0])
        correction = str((mark.annotation or {}).get("correction") or "")
        changes.append((Span(start, end), _spaced(correction, item.target, start, end)))
    return apply_edit(item.target, sorted(changes, key=lambda change: (change[0].start, change[0].end)))


def _inside(offset: int, text: str) -> int:
    """ERRANT counts a space behind the last word, which the text does not have."""
    return len(text) if offset == len(text) + 1 else offset


def _spaced(correction: str, text: str, start: int, end: int) -> str:
    """The marks take the space behind a word with them and stand before a word; their corrections are bare."""
    if not correction:
        return ""
    if start == end == len(text):
        return f" {correction}" if text and not text[-1].isspace() else correction
    inside = start < end and not text[end - 1].isspace()
    return correction if inside or text[end : end + 1].isspace() else f"{correction} "
