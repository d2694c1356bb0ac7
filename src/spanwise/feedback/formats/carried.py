"""What other tools have no place for travels with their records as one string, and comes back with them.

Their own answers win: spans and corrections that were changed there are taken over, and a span that is still where
it was keeps its evidence, its antecedent and its note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanwise.core import BadJSONError, parse
from spanwise.feedback.formats.contract import Unit
from spanwise.feedback.formats.offsets import code_points
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark, mark
from spanwise.text import normalize_newlines

KEY = "spanwise"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says about one response."""

    spans: tuple[tuple[int, int, str], ...] | None = None
    """Start, end and label in the tool's unit; None where nobody was asked for spans."""
    quotes: tuple[str, ...] | None = None
    correction: str | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A record as a tool holds it, before offsets are understood."""

    id: str
    prompt: str
    responses: tuple[str, ...]
    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    annotator: str | None = None
    among_several: str | None = None
    """Who this is, where several people answered the same task; each then has a record of the same item."""
    references: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    carried: str | None = None


def packed(record: FeedbackRecord) -> str:
    """The whole record as the string that travels."""
    return record.model_dump_json()


def unpacked(foreign: Foreign, unit: Unit) -> FeedbackRecord:
    """The record of what a tool gives back; raises FieldError when its offsets fit no reading."""
    base = _base(foreign)
    responses = list(base.responses)
    for position, answer in foreign.answers.items():
        if position >= len(responses):
            raise FieldError("", f"speaks of response {position + 1} of {len(responses)}.")
        responses[position] = _answered(responses[position], foreign.responses[position], answer, unit)
    changes = {"responses": tuple(responses), "annotator": foreign.annotator or base.annotator}
    named = {} if foreign.among_several is None else _named(base, foreign.among_several)
    return FeedbackRecord.model_validate(dict(base) | changes | named)


def _named(base: FeedbackRecord, person: str) -> dict[str, Any]:
    details = base.provenance.get("annotation")
    item = details.get("item", base.id) if isinstance(details, dict) else base.id
    return {"id": f"{base.id}#{person}", "provenance": base.provenance | {"annotation": {"item": item}}}


def _base(foreign: Foreign) -> FeedbackRecord:
    texts = tuple(normalize_newlines(text) for text in foreign.responses)
    if foreign.carried is not None:
        try:
            record = FeedbackRecord.model_validate(parse(foreign.carried))
        except BadJSONError as error:
            raise FieldError(KEY, f"is damaged ({error})") from error
        if tuple(response.text for response in record.responses) == texts:
            return record
        raise FieldError(KEY, "belongs to other texts; remove it.")
    return FeedbackRecord(
        id=foreign.id,
        prompt=normalize_newlines(foreign.prompt),
        responses=tuple(Response(text=text) for text in texts),
        references=tuple(normalize_newlines(text) for text in foreign.references),
        provenance=dict(foreign.provenance),
    )


def _answered(response: Response, original: str, answer: Answer, unit: Unit) -> Response:
    changes: dict[str, Any] = {}
    if answer.spans is not None:
        changes |= {"marked": True, "spans": tuple(_marks(response, original, answer, unit))}
    if answer.correction is not None:
        changes["correction"] = normalize_newlines(answer.correction)
    return Response.model_validate(dict(response) | changes)


def _marks(response: Response, original: str, answer: Answer, unit: Unit) -> list[SpanMark]:
    spans = answer.spans or ()
    quotes = None if answer.quotes is None else list(answer.quotes)
    offsets = code_points(original, [(start, end) for start, end, _ in spans], unit, quotes)
    offsets = [(_without_returns(original, start), _without_returns(original, end)) for start, end in offsets]
    kept = {(known.start, known.end, known.category): known for known in response.spans}
    labels: Sequence[str] = [label for _, _, label in spans]
    return [
        kept.get((start, end, label)) or mark(response.text, start, end, label)
        for (start, end), label in zip(offsets, labels, strict=True)
    ]


def _without_returns(text: str, offset: int) -> int:
    """The offset once CR LF has become LF."""
    return len(normalize_newlines(text[:offset]))
