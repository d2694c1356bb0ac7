"""The feedback record: what one annotator said about one prompt and its responses.

One record is one line of a versioned JSONL file. Offsets are code points into the response they belong to,
and each stored span carries the text it quotes, so that damage is noticed and not trained on. Ids of passages
and sentences count from 0. The record knows nothing of files (`jsonl.py`) or of other tools' formats
(`importers/`).
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanwise.text.spans import Span, check_text, text_hash

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Passage(_Record):
    """A text that a response may lean on."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences, joined by single spaces."""
        return " ".join(self.sentences)


class Evidence(_Record):
    """Sentences of one passage."""

    passage: int = Field(ge=0)
    sentences: tuple[int, ...]


class SpanMark(_Record):
    """One marked span of a response."""

    start: int = Field(ge=0)
    end: int
    quote: str
    """The marked text, kept beside the offsets so that both can be checked."""
    category: str
    """The category name as the annotator's taxonomy spells it."""
    evidence: tuple[Evidence, ...] = ()
    """Where the passages contradict or support the span."""
    antecedent: str | None = None
    """For repetitions: the earlier text that is repeated."""
    note: str = ""
    """Free text of the annotator."""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class MissingInfo(_Record):
    """Something the response should have said, and where the passages say it."""

    category: str
    evidence: Evidence


class Response(_Record):
    """One response with what the annotator said about it alone."""

    text: str
    text_hash: str = ""
    """SHA-256 of the text; filled in when absent, checked when present."""
    marked: bool = False
    """Whether an annotator looked for spans here: an unmarked response is unknown, not perfect."""
    spans: tuple[SpanMark, ...] = ()
    missing: tuple[MissingInfo, ...] = ()
    correction: str | None = None
    """The response after the annotator's minimal edit; None when nobody edited it."""
    model: str | None = None
    """What wrote the response."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_text(self.text, place="text")
        expected = text_hash(self.text)
        if not self.text_hash:
            object.__setattr__(self, "text_hash", expected)
        elif self.text_hash != expected:
            raise ValueError("text_hash does not belong to this text; the text was changed after it was marked")
        for index, mark in enumerate(self.spans):
            _check_mark(mark, self.text, f"spans.{index}")
        if not self.marked and (self.spans or self.missing):
            raise ValueError("spans or missing information on a response with marked=false; set marked to true")
        return self


class Preference(_Record):
    """Which of two responses of the record is better; `first` and `second` are positions in `responses`."""

    first: int = Field(ge=0)
    """The response that was shown first."""
    second: int = Field(ge=0)
    winner: Literal["first", "second", "tie"]


class FeedbackRecord(_Record):
    """One prompt, its responses, and what one annotator said about them."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: str
    prompt: str
    passages: tuple[Passage, ...] = ()
    responses: tuple[Response, ...] = Field(min_length=1)
    preferences: tuple[Preference, ...] = ()
    references: tuple[str, ...] = ()
    """Gold answers, where there are any."""
    annotator: str | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Where the record came from; importers keep here what no field of ours holds, so that nothing is lost."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_text(self.prompt, place="prompt")
        for index, preference in enumerate(self.preferences):
            if preference.first == preference.second or max(preference.first, preference.second) >= len(self.responses):
                raise ValueError(f"preferences.{index} compares responses that are not two of this record's")
        for place, evidence in _evidence(self):
            if evidence.passage >= len(self.passages):
                raise ValueError(f"{place} names passage {evidence.passage}, the record has {len(self.passages)}")
        return self


def mark(text: str, start: int, end: int, category: str, **more: Any) -> SpanMark:
    """A SpanMark on `text[start:end]` with its quote filled in."""
    return SpanMark(start=start, end=end, quote=Span(start, end).of(text), category=category, **more)


def _check_mark(mark: SpanMark, text: str, place: str) -> None:
    if not mark.start < mark.end <= len(text):
        raise ValueError(f"{place}: [{mark.start}, {mark.end}) is no span of a text of {len(text)} characters")
    found = text[mark.start : mark.end]
    if found != mark.quote:
        raise ValueError(f"{place}: the text at [{mark.start}, {mark.end}) is {found!r}, the quote says {mark.quote!r}")


def _evidence(record: FeedbackRecord) -> list[tuple[str, Evidence]]:
    found: list[tuple[str, Evidence]] = []
    for number, response in enumerate(record.responses):
        place = f"responses.{number}"
        found += [(f"{place}.spans.{i}.evidence", e) for i, m in enumerate(response.spans) for e in m.evidence]
        found += [(f"{place}.missing.{i}.evidence", m.evidence) for i, m in enumerate(response.missing)]
    return found
