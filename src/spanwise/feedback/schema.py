"""The feedback record: what one annotator said about one prompt and its responses.

One record is one line of a versioned JSONL file. Offsets are code points into the response they belong to,
and each stored span carries the text it quotes, so that damage is noticed and not trained on. Ids of passages
and sentences count from 0. Texts hold LF line breaks and neither NUL nor lone surrogates. The record knows
nothing of files (`files.py`) or of other tools' formats (`formats/`).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from spanwise.feedback.messages import Tools, Turns, is_empty, opening, read_turns
from spanwise.feedback.problems import FieldError
from spanwise.feedback.record import FilledText, Index, Json, Record, Text
from spanwise.text import Span, text_hash

SCHEMA_VERSION = 1
Rating = Annotated[float, Field(allow_inf_nan=False)]


class Passage(Record):
    """A text that a response may lean on."""

    title: Text
    sentences: tuple[Text, ...]

    @property
    def text(self) -> str:
        """All sentences, joined by single spaces."""
        return " ".join(self.sentences)


class Evidence(Record):
    """Sentences of one passage, and perhaps its title."""

    passage: Index
    sentences: tuple[Index, ...]
    title: Annotated[bool, Field(strict=True)] = False
    """Whether the passage's title is part of the evidence."""


class SpanMark(Record):
    """One marked span of a response."""

    start: Index
    end: Annotated[int, Field(strict=True)]
    quote: Text
    """The marked text, kept beside the offsets so that both can be checked."""
    category: Text
    """The category name as the annotator's taxonomy spells it."""
    evidence: tuple[Evidence, ...] = ()
    """Where the passages contradict or support the span."""
    antecedent: Text | None = None
    """For repetitions: the earlier text that is repeated."""
    note: Text = ""
    """Free text of the annotator."""
    polarity: Literal["negative", "positive"] = Field(default="negative", exclude_if=lambda value: value == "negative")
    """Whether the mark blames or praises. Only written where it praises."""
    severity: Text | None = Field(default=None, exclude_if=lambda value: value is None)
    """How grave the annotator found it, in the words of the taxonomy; only written where it is said."""
    confidence: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, exclude_if=lambda value: value is None)
    """How sure whoever marked it was, from 0 to 1; only written where it is said."""

    @property
    def blames(self) -> bool:
        """Whether the marked text is an error; praise is none."""
        return self.polarity == "negative"

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class MissingInfo(Record):
    """Something the response should have said, and where the passages say it, if they do."""

    category: Text
    evidence: Evidence | None = Field(default=None, exclude_if=lambda value: value is None)
    note: Text = Field(default="", exclude_if=lambda value: not value)
    """What is missing, in the annotator's words."""


class Belief(Record):
    """How likely a part of a response is wrong by one category, where several people's marks were weighed."""

    start: Index
    end: Annotated[int, Field(strict=True)]
    category: Text
    probability: Annotated[float, Field(ge=0, le=1)]

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class Response(Record):
    """One response with what the annotator said about it alone. Its text may be empty: a model may say nothing."""

    text: Text
    text_hash: str = ""
    """SHA-256 of the text; filled in when absent, checked when present."""
    marked: Annotated[bool, Field(strict=True)] = False
    """Whether an annotator looked for spans here: an unmarked response is unknown, not perfect."""
    spans: tuple[SpanMark, ...] = ()
    missing: tuple[MissingInfo, ...] = ()
    correction: Text | None = None
    """The response after the annotator's minimal edit; None when nobody edited it."""
    model: Text | None = None
    """What wrote the response."""
    ratings: dict[str, Rating] = Field(default_factory=dict[str, float], exclude_if=lambda value: not value)
    """What people or judges gave the whole response, by aspect, in the figures of its source ("helpfulness": 4). They
    do not say that somebody looked for spans. Only written where there are any."""
    beliefs: tuple[Belief, ...] = Field(default=(), exclude_if=lambda value: not value)
    """What several people's marks together make likely (`feedback reliability`): reward models of segments learn these
    instead of the spans; a part without one is right. Only written where there are any."""

    @model_validator(mode="after")
    def _consistent(self) -> "Response":
        expected = text_hash(self.text)
        if not self.text_hash:
            object.__setattr__(self, "text_hash", expected)
        elif self.text_hash != expected:
            raise FieldError("text_hash", "belongs to another text; the text was changed after it was marked.")
        for index, mark in enumerate(self.spans):
            _check_mark(mark, self.text, f"spans.{index}")
        for index, belief in enumerate(self.beliefs):
            _check_bounds(belief, self.text, f"beliefs.{index}")
        if not self.marked and (self.spans or self.missing or self.beliefs):
            raise FieldError("marked", "is false, yet there are spans or missing information; set it to true.")
        return self


class Preference(Record):
    """Which of two responses of the record is better; `first` and `second` are positions in `responses`."""

    first: Index
    """The response that was shown first."""
    second: Index
    winner: Literal["first", "second", "tie"]
    confidence: Annotated[float, Field(ge=0.5, le=1)] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )
    """How likely the winner, rather than the other one, is better; only written where several people were weighed."""


class FeedbackRecord(Record):
    """One prompt, its responses, and what one annotator said about them."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: FilledText
    prompt: Text
    """What was asked; where there are `messages`, what people read of them."""
    messages: Turns = Field(default=(), exclude_if=is_empty)
    """The turns before the responses, where the prompt is a conversation. In a file they may run on to the response;
    feedback on several of the assistant's turns makes a record for each, with the turns before it."""
    tools: Tools = Field(default=(), exclude_if=is_empty)
    """The tools that the assistant may call, as chat templates take them."""
    passages: tuple[Passage, ...] = ()
    responses: tuple[Response, ...] = Field(min_length=1)
    preferences: tuple[Preference, ...] = ()
    references: tuple[Text, ...] = ()
    """Gold answers, where there are any."""
    annotator: Text | None = None
    provenance: Json = Field(default_factory=dict)
    """Where the record came from; importers keep here what no field of ours holds, so that nothing is lost."""

    @model_validator(mode="before")
    @classmethod
    def _turns(cls, values: Any) -> Any:
        fields = read_turns(values, answer_at="responses")
        if isinstance(fields, dict) and isinstance(answer := cast("dict[str, Any]", fields).get("responses"), dict):
            fields["responses"] = [_response_of(cast("dict[str, Any]", answer))]
        return cast("Any", fields)

    @property
    def question(self) -> str:
        """What keeps records together where data is split: the prompt, or of a conversation its opening."""
        return opening(self.prompt, self.messages)

    @model_validator(mode="after")
    def _consistent(self) -> "FeedbackRecord":
        held = len(self.responses)
        for index, preference in enumerate(self.preferences):
            first, second = preference.first, preference.second
            if first == second or first >= held or second >= held:
                reason = f"compares {first} with {second}; it needs two of the {held} responses."
                raise FieldError(f"preferences.{index}", reason)
        for evidence, place in _evidence(self):
            _check_evidence(evidence, self.passages, place)
        return self


def mark(text: str, start: int, end: int, category: str, **more: Any) -> SpanMark:
    """A SpanMark on `text[start:end]` with its quote filled in."""
    return SpanMark(start=start, end=end, quote=Span(start, end).of(text), category=category, **more)


def _response_of(answer: dict[str, Any]) -> dict[str, Any]:
    """A turn of the assistant as the one response of its record, with the feedback that it carries."""
    return {"text": answer.get("content"), **{k: v for k, v in answer.items() if k not in ("role", "content")}}


def _check_bounds(part: SpanMark | Belief, text: str, place: str) -> None:
    if not part.start < part.end <= len(text):
        reason = f"[{part.start}, {part.end}) is no span of a text of {len(text)} characters; correct the offsets."
        raise FieldError(place, reason)


def _check_mark(mark: SpanMark, text: str, place: str) -> None:
    _check_bounds(mark, text, place)
    marked_text = text[mark.start : mark.end]
    if marked_text != mark.quote:
        reason = f"the text there is {marked_text!r:.60}, not {mark.quote!r:.60}; correct the offsets or the quote."
        raise FieldError(f"{place}.quote", reason)


def _check_evidence(evidence: Evidence, passages: tuple[Passage, ...], at: tuple[str | int, ...]) -> None:
    place, held = ".".join(map(str, at)), len(passages)
    if evidence.passage >= held:
        raise FieldError(f"{place}.passage", f"names passage {evidence.passage} of {held} (counted from 0).")
    count = len(passages[evidence.passage].sentences)
    beyond = [number for number in evidence.sentences if number >= count]
    if beyond:
        raise FieldError(f"{place}.sentences", f"names sentence {beyond[0]} of {count} (counted from 0).")


def _evidence(record: FeedbackRecord) -> Iterator[tuple[Evidence, tuple[str | int, ...]]]:
    for number, response in enumerate(record.responses):
        for index, marked in enumerate(response.spans):
            for i, evidence in enumerate(marked.evidence):
                yield evidence, ("responses", number, "spans", index, "evidence", i)
        for index, gap in enumerate(response.missing):
            if gap.evidence is not None:
                yield gap.evidence, ("responses", number, "missing", index, "evidence")
