"""From a model's answer to an edited text, or to the sentence that says what is wrong with the answer.

Two ways of answering are read: a JSON list of operations that are applied to the original, and the whole edited text
between marks. Whatever else a model says is an answer that cannot be used, never an edit.
"""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spanwise.core import BadJSONError, parse
from spanwise.feedback import EditSpan, spans_of
from spanwise.text import Span, align_texts, apply_edit, normalize_newlines, unstorable

AnswerFault = Literal[
    "answered in prose", "not JSON", "wrong form", "text not found", "overlapping edits", "cut off", "unusable text"
]

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)
_EDITED = re.compile(r"<edited>(.*?)</edited>", re.DOTALL)


class UnusableAnswerError(Exception):
    """The answer is no edit; `complaint` is what the model is told when it is asked again."""

    def __init__(self, fault: AnswerFault, complaint: str) -> None:
        super().__init__(f"{fault}: {complaint}")
        self.fault: AnswerFault = fault
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Edited:
    """The edited text and what changed."""

    text: str
    spans: tuple[EditSpan, ...]


class _Operation(BaseModel):
    model_config = ConfigDict(extra="ignore")

    find: str = Field(min_length=1)
    occurrence: int = Field(default=1, ge=1)
    replace: str
    category: str = ""
    reason: str = ""


class _Operations(BaseModel):
    edits: list[_Operation]


def read_rewrite(answer: str, original: str) -> Edited:
    """The text between the marks; raises UnusableAnswerError."""
    rewrites = _EDITED.findall(answer)
    if len(rewrites) != 1:
        many = "more than one edited answer" if rewrites else "no edited answer"
        raise UnusableAnswerError("answered in prose", f"There was {many} between <edited> and </edited>.")
    edited = _trimmed_like(_storable(rewrites[0]), original)
    return Edited(edited, spans_of(original, edited))


def read_operations(answer: str, original: str) -> Edited:
    """The original with the operations applied; raises UnusableAnswerError."""
    fenced = _FENCE.match(answer)
    body = fenced[1] if fenced else answer
    if not body.lstrip().startswith("{"):
        raise UnusableAnswerError("answered in prose", "The answer was not a JSON object.")
    try:
        operations = _Operations.model_validate(parse(body)).edits
    except BadJSONError as error:
        raise UnusableAnswerError("not JSON", f"The answer was {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UnusableAnswerError("wrong form", f"{key}: {first['msg']}.") from error
    placed = sorted(((_place(operation, original), operation) for operation in operations), key=lambda pair: pair[0])
    return _applied(original, placed)


def _applied(original: str, placed: list[tuple[Span, _Operation]]) -> Edited:
    spans: list[EditSpan] = []
    pieces: list[tuple[Span, str]] = []
    done = grown = 0
    for span, operation in placed:
        if span.start < done:
            raise UnusableAnswerError("overlapping edits", f"The edit of {operation.find!r} overlaps with another.")
        replacement = _storable(operation.replace)
        pieces.append((span, replacement))
        spans += _spans_within(operation, span.start, span.start + grown, replacement)
        done, grown = span.end, grown + len(replacement) - len(span)
    return Edited(apply_edit(original, pieces), tuple(spans))


def _spans_within(operation: _Operation, start: int, edited_start: int, replacement: str) -> list[EditSpan]:
    """Models quote more than they change: only what differs inside the quoted stretch is a span."""
    return [
        EditSpan(
            start=start + part.original.start,
            end=start + part.original.end,
            edited_start=edited_start + part.edited.start,
            edited_end=edited_start + part.edited.end,
            category=_one_line(operation.category),
            reason=_one_line(operation.reason),
        )
        for part in align_texts(operation.find, replacement).changes
    ]


def _place(operation: _Operation, original: str) -> Span:
    find = normalize_newlines(operation.find)
    start = -1
    for _ in range(operation.occurrence):
        start = original.find(find, start + 1)
        if start < 0:
            count = original.count(find)
            raise UnusableAnswerError("text not found", f"The answer holds {find!r} {count} times; copy it exactly.")
    return Span(start, start + len(find))


def _storable(text: str) -> str:
    text = normalize_newlines(text)
    reason = unstorable(text)
    if reason is not None:
        raise UnusableAnswerError("unusable text", f"The edit holds a {reason}.")
    return text


def _one_line(text: str) -> str:
    return " ".join("".join(mark for mark in text if mark.isprintable() or mark.isspace()).split())


def _trimmed_like(edited: str, original: str) -> str:
    """The edited text with the white space at its ends that the original has: marks often stand on their own lines."""
    body = edited.strip()
    if not body:
        return ""
    head = original[: len(original) - len(original.lstrip())]
    return f"{head}{body}{original[len(original.rstrip()) :]}"
