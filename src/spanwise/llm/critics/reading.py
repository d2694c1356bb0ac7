"""From a critic's reply to marks that stand exactly where it says, or to the sentence that says what is wrong with it.

A quote that the answer does not hold is a fault of the reply, never a guess at a place; a list without marks is a
finding, a reply that cannot be read is none.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spanwise.feedback import Evidence, MissingInfo, Passage, SpanMark
from spanwise.llm.answers import UnusableAnswerError, place_quote, read_object
from spanwise.llm.critics.config import CriticConfig
from spanwise.llm.critics.prompting import Criticised
from spanwise.text import Span, normalize_newlines, unstorable


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic says of one answer; without marks and omissions it found nothing."""

    text: str = ""
    """The critique in words, which it wrote first."""
    marks: tuple[SpanMark, ...] = ()
    """In text order; each with its confidence, and its quote is the text of its span."""
    omissions: tuple[MissingInfo, ...] = ()
    left: tuple[str, ...] = ()
    """Parts of a reader's comment that are neither a mark nor an omission."""


class _Mark(BaseModel):
    model_config = ConfigDict(extra="ignore")

    quote: str = Field(min_length=1)
    occurrence: int = Field(default=1, ge=1)
    category: str
    polarity: Literal["negative", "positive"] = "negative"
    severity: str | None = None
    confidence: float = Field(default=1.0, ge=0, le=1)


class _Omission(BaseModel):
    model_config = ConfigDict(extra="ignore")

    category: str
    source: str = Field(min_length=1)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")

    critique: str
    marks: list[_Mark]
    omissions: list[_Omission] = Field(default_factory=list[_Omission])
    left: list[str] = Field(default_factory=list[str])


def read_critique(reply: str, answer: Criticised, config: CriticConfig) -> Critique:
    """What the reply says of `answer`; raises UnusableAnswerError. One mark said twice is one."""
    read = read_object(reply, _Reply)
    marks = {(mark.span, mark.category): mark for said in read.marks for mark in [_mark(said, answer.response, config)]}
    return Critique(
        text=_storable(read.critique),
        marks=tuple(sorted(marks.values(), key=lambda mark: (mark.start, mark.end))),
        omissions=tuple(_omission(said, answer.passages, config) for said in read.omissions),
        left=tuple(_storable(part) for part in read.left),
    )


def _mark(said: _Mark, response: str, config: CriticConfig) -> SpanMark:
    span = place_quote(said.quote, said.occurrence, response)
    if not span.of(response).strip():
        raise UnusableAnswerError("wrong form", f"The quote {said.quote!r} is blank; quote the words that are meant.")
    if "\r" in span.of(response) or unstorable(span.of(response)):
        raise UnusableAnswerError("unusable text", "The quote holds a control character; quote the words around it.")
    kinds = config.errors if said.polarity == "negative" else config.merits
    if said.category not in kinds:
        raise UnusableAnswerError("wrong form", f"{said.category!r:.60} is no category of polarity {said.polarity}.")
    grades = config.severity_weights
    if grades and said.severity not in grades:
        raise UnusableAnswerError("wrong form", f"{said.severity!r:.60} is no severity; choose of {', '.join(grades)}.")
    return SpanMark(
        start=span.start,
        end=span.end,
        quote=span.of(response),
        category=said.category,
        polarity=said.polarity,
        severity=said.severity if grades else None,
        confidence=said.confidence,
    )


def _omission(said: _Omission, passages: tuple[Passage, ...], config: CriticConfig) -> MissingInfo:
    if said.category not in config.omissions:
        raise UnusableAnswerError("wrong form", f"{said.category!r:.60} is no category of omissions.")
    source = normalize_newlines(said.source)
    for number, passage in enumerate(passages):
        if source in passage.text:
            span = place_quote(source, 1, passage.text)
            return MissingInfo(
                category=said.category, evidence=Evidence(passage=number, sentences=_sentences(passage, span))
            )
    raise UnusableAnswerError("text not found", f"The sources do not hold {said.source!r}; copy it exactly.")


def _sentences(passage: Passage, span: Span) -> tuple[int, ...]:
    """The sentences of a passage that a span of its text touches."""
    start, touched = 0, list[int]()
    for number, sentence in enumerate(passage.sentences):
        if span.overlap(Span(start, start + len(sentence))):
            touched.append(number)
        start += len(sentence) + 1
    return tuple(touched)


def _storable(text: str) -> str:
    """A critic's own words as a record keeps them: without what no file keeps."""
    return normalize_newlines(text).replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")
