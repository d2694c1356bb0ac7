"""Argilla 2: records as `Dataset.records.to_json` writes them.

Questions are called `spans_r1`, `correction_r1`, ...; a span question of any other name speaks of the field `response`
or of the only field that is not the prompt. Its pages count UTF-16 units. Evidence, missing information and
preferences have no place there and travel in the metadata.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_text
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Unit, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.offsets import utf16
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord

_PROMPTS = ("prompt", "question", "instruction")
_CONTEXTS = ("passages", "context")


def read(path: Path, unit: Unit) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per person who answered; one without feedback where nobody did."""
    return converted(path, _records, unit)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes a list that `Dataset.records.from_json` reads."""
    rows = [_row(record) for record in records]
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1))
    return Written(len(rows))


def _row(record: FeedbackRecord) -> dict[str, Any]:
    fields = {"prompt": record.prompt} | {f"r{k + 1}": response.text for k, response in enumerate(record.responses)}
    if record.passages:
        fields["passages"] = "\n\n".join(f"{passage.title}\n{passage.text}" for passage in record.passages)
    answers: dict[str, list[dict[str, Any]]] = {}
    who = record.annotator or "unknown"
    for k, response in enumerate(record.responses):
        if response.marked:
            spans = [
                {"label": m.category, "start": utf16(response.text, m.start), "end": utf16(response.text, m.end)}
                for m in response.spans
            ]
            answers[f"spans_r{k + 1}"] = [{"value": spans, "user_id": who}]
        if response.correction is not None:
            answers[f"correction_r{k + 1}"] = [{"value": response.correction, "user_id": who}]
    empty = {"suggestions": {}, "vectors": {}}
    return {"id": record.id, "fields": fields, "metadata": {KEY: packed(record)}, "responses": answers, **empty}


def _records(value: Any, place: Place, unit: Unit) -> Iterator[FeedbackRecord]:
    fields: dict[str, Any] = value["fields"]
    names = _response_fields(fields)
    people = sorted({str(a.get("user_id")) for answers in value.get("responses", {}).values() for a in answers})
    metadata: dict[str, Any] = value.get("metadata") or {}
    prompt = next((str(fields[name]) for name in _PROMPTS if name in fields), "")
    for person in people or [None]:
        name = str(value.get("id") or f"{place.line}-{place.item}")
        yield unpacked(
            Foreign(
                id=name,
                prompt=prompt,
                responses=tuple(str(fields[field]) for field in names),
                answers=_answers(value.get("responses", {}), names, person),
                annotator=person if person not in (None, "unknown") else None,
                among_several=person if len(people) > 1 else None,
                provenance={"format": "argilla"},
                carried=metadata.get(KEY),
            ),
            unit,
        )


def _response_fields(fields: dict[str, Any]) -> list[str]:
    numbered = [f"r{k}" for k in range(1, len(fields) + 1) if f"r{k}" in fields]
    others = [name for name in fields if name not in (*_PROMPTS, *_CONTEXTS)]
    names = numbered or [name for name in others if name in ("response", "completion", "text")] or others[:1]
    if not names:
        raise FieldError("fields", "holds no response; name a field response.")
    return names


def _answers(questions: dict[str, list[dict[str, Any]]], names: list[str], person: str | None) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    for position, name in enumerate(names):
        spans: tuple[tuple[int, int, str], ...] | None = None
        correction: str | None = None
        for question, given in questions.items():
            values = [a["value"] for a in given if str(a.get("user_id")) == person and a.get("status") != "discarded"]
            if not values or (question.rpartition("_")[2] != name and len(names) > 1):
                continue
            if isinstance(values[0], str) and "correct" in question:
                correction = values[0]
            elif isinstance(values[0], list):
                read_spans = _spans(values[0])
                spans = spans if read_spans is None else read_spans
        if spans is not None or correction is not None:
            answers[position] = Answer(spans=spans, correction=correction)
    return answers


def _spans(value: list[Any]) -> tuple[tuple[int, int, str], ...] | None:
    """The spans of an answer, or None where it answers another kind of question."""
    spans = [(s["start"], s["end"], str(s["label"])) for s in value if isinstance(s, dict) and "start" in s]
    return tuple(spans) if len(spans) == len(value) else None
