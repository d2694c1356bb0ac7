"""Argilla 2: records as `Dataset.records.to_json` writes them.

Questions are called `spans_r1`, `correction_r1`, ...; a span question of any other name speaks of the only response.
Answers to other questions (rankings, ratings, labels) are counted, and so are drafts and empty lists, which may answer
any question: only in `spans_...` they say that there is no error. Its pages count UTF-16 units. Evidence, missing
information and preferences have no place there and travel in the metadata.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_text
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, is_rewrite, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.offsets import utf16
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord

_PROMPTS = ("prompt", "question", "instruction")
_CONTEXTS = ("passages", "context")
_RESPONSE = re.compile(r"(response|completion|answer|text)[_-]?\d*")
_Answers = list[dict[str, Any]]


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per person who answered; one without feedback where nobody did."""
    return converted(path, _records, reading)


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
    who = {"user_id": user_id(record.annotator), "status": "submitted"}
    for k, response in enumerate(record.responses):
        if response.marked:
            spans = [
                {"label": m.category, "start": utf16(response.text, m.start), "end": utf16(response.text, m.end)}
                for m in response.spans
            ]
            answers[f"spans_r{k + 1}"] = [{"value": spans, **who}]
        if response.correction is not None:
            answers[f"correction_r{k + 1}"] = [{"value": response.correction, **who}]
    empty = {"suggestions": {}, "vectors": {}}
    return {"id": record.id, "fields": fields, "metadata": {KEY: packed(record)}, "responses": answers, **empty}


def user_id(annotator: str | None) -> str:
    """What Argilla, whose users are UUIDs, is told of an annotator; the name itself travels in the metadata."""
    try:
        return str(uuid.UUID(annotator or ""))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"spanwise:{annotator or 'unknown'}"))


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
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
                answers=_answers(value.get("responses", {}), fields, names, person, reading),
                annotator=_annotator(person, metadata.get(KEY)),
                among_several=person if len(people) > 1 else None,
                provenance={"format": "argilla"},
                carried=metadata.get(KEY),
                documented="utf-16",
            ),
            reading.unit,
        )


def _annotator(person: str | None, carried: str | None) -> str | None:
    """Who answered: the annotator of the record that travelled, where it is that one's UUID; none where nobody did."""
    before = None if carried is None else FeedbackRecord.model_validate_json(carried).annotator
    if person in (None, "unknown", user_id(None)):
        return None
    return before if person == user_id(before) else person


def _response_fields(fields: dict[str, Any]) -> list[str]:
    numbered = [f"r{k}" for k in range(1, len(fields) + 1) if f"r{k}" in fields]
    others = [name for name in fields if name not in (*_PROMPTS, *_CONTEXTS)]
    names = numbered or [name for name in others if _RESPONSE.fullmatch(name)] or others[:1]
    if not names:
        raise FieldError("fields", "holds no response; name a field response.")
    return names


def _answers(
    questions: dict[str, _Answers], fields: dict[str, Any], names: list[str], person: str | None, reading: Reading
) -> dict[int, Answer]:
    """What a person says of each response."""
    spans: dict[int, tuple[tuple[int, int, str], ...]] = {}
    corrections: dict[int, str] = {}
    for question, answers in questions.items():
        for value in _submitted(question, answers, person, reading):
            position = _position(question, names)
            read_spans = _spans(value, may_be_empty=question in {f"spans_{name}" for name in names})
            if position is not None and read_spans is not None and position not in spans:
                spans[position] = read_spans
            elif position is not None and position not in corrections and _corrects(question, value, fields, names):
                corrections[position] = value
            else:
                reading.lost(f"answers to {question}")
    return {k: Answer(spans=spans.get(k), correction=corrections.get(k)) for k in spans.keys() | corrections.keys()}


def _submitted(question: str, answers: _Answers, person: str | None, reading: Reading) -> Iterator[Any]:
    """The values that a person gave and did not take back."""
    for answer in answers:
        if str(answer.get("user_id")) != person or answer.get("status") == "discarded":
            continue
        if answer.get("status") == "draft":
            reading.lost(f"drafts of {question}")
        else:
            yield answer["value"]


def _position(question: str, names: list[str]) -> int | None:
    """Which response a question speaks of: the one that its name ends with, or the only one."""
    called = [position for position, name in enumerate(names) if question.endswith(f"_{name}")]
    if called:
        return called[0]
    return 0 if len(names) == 1 and not re.search(r"_r\d+$", question) else None


def _corrects(question: str, value: Any, fields: dict[str, Any], names: list[str]) -> bool:
    """Whether an answer rewrites its response: `correction_rN` is ours, other such questions may ask for a label."""
    if not isinstance(value, str) or not question.startswith("correction"):
        return False
    position = _position(question, names)
    ours = re.fullmatch(r"correction_r\d+", question) is not None
    return ours or (position is not None and is_rewrite(str(fields[names[position]]), value))


def _spans(value: Any, *, may_be_empty: bool) -> tuple[tuple[int, int, str], ...] | None:
    """The spans of an answer, or None where it answers another kind of question."""
    if not isinstance(value, list) or not (value or may_be_empty):
        return None
    spans = [(s["start"], s["end"], str(s["label"])) for s in value if isinstance(s, dict) and "start" in s]
    return tuple(spans) if len(spans) == len(value) else None
