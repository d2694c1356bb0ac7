"""What other tools have no place for travels with their records as one string, and comes back with them.

Their own answers win: spans and corrections that were changed there are taken over, and a span that is still where
it was keeps its evidence, its antecedent and its note. An answer becomes clean (marked, without spans) only where the
reader says so by an empty tuple of spans; None leaves it as it travelled, or unmarked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from spanwise.core import BadJSONError, parse
from spanwise.feedback.formats.contract import Unit
from spanwise.feedback.formats.offsets import code_points
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord, Preference, Response, SpanMark, mark
from spanwise.text import normalize_newlines, split_words

KEY = "spanwise"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says about one response."""

    spans: tuple[tuple[int, int, str], ...] | None = None
    """Start, end and label in the tool's unit; None where nobody is known to have looked for spans."""
    quotes: tuple[str | None, ...] | None = None
    """The words at the spans, None where the tool does not say them."""
    notes: tuple[str, ...] = ()
    """What people wrote about the spans, one text a span; empty where the tool asks for none."""
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
    preferences: tuple[Preference, ...] = ()
    carried: str | None = None
    documented: Unit = "auto"
    """What the tool says that its offsets count."""


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
        marks = _marks(responses[position], foreign, position, unit)
        responses[position] = _answered(responses[position], answer, marks)
    changes = {"responses": tuple(responses), "annotator": foreign.annotator or base.annotator}
    changes |= {"preferences": foreign.preferences} if foreign.preferences else {}
    named = {} if foreign.among_several is None else _named(base, foreign.among_several)
    return FeedbackRecord.model_validate(dict(base) | changes | named)


def is_rewrite(text: str, other: str) -> bool:
    """Whether `other` is plausibly `text` with changes, and no label: it has words, and half of all words are shared.

    Tools keep rewritten texts and class names in the same field.
    """
    words, others = split_words(text), split_words(other)
    return min(len(words), len(others)) > 2 and SequenceMatcher(None, words, others).ratio() >= 0.5


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


def _answered(response: Response, answer: Answer, marks: list[SpanMark] | None) -> Response:
    changes: dict[str, Any] = {}
    if marks is not None:
        changes |= {"marked": True, "spans": tuple(marks)}
    if answer.correction is not None:
        changes["correction"] = normalize_newlines(answer.correction)
    return Response.model_validate(dict(response) | changes)


def _marks(response: Response, foreign: Foreign, position: int, unit: Unit) -> list[SpanMark] | None:
    answer, original = foreign.answers[position], foreign.responses[position]
    if answer.spans is None:
        return None
    borders = [(start, end) for start, end, _ in answer.spans]
    offsets = code_points(original, borders, unit, answer.quotes, documented=foreign.documented)
    offsets = [(_without_returns(original, start), _without_returns(original, end)) for start, end in offsets]
    kept = {(known.start, known.end, known.category): known for known in response.spans}
    praise = {known.category for known in response.spans if not known.blames}
    marks = [
        kept.get((start, end, label))
        or mark(response.text, start, end, label, polarity="positive" if label in praise else "negative")
        for (start, end), (_, _, label) in zip(offsets, answer.spans, strict=True)
    ]
    notes = answer.notes or ("",) * len(marks)
    return [m.model_copy(update={"note": note}) if note else m for m, note in zip(marks, notes, strict=True)]


def _without_returns(text: str, offset: int) -> int:
    """The offset once CR LF has become LF."""
    return len(normalize_newlines(text[:offset]))
