"""From a model's answer to an edited text, or to the sentence that says what is wrong with the answer.

Two ways of answering are read: a JSON list of operations that are applied to the original, and the whole edited text
between marks. Whatever else a model says is an answer that cannot be used, never an edit.
"""

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from spanwise.feedback import EditSpan, spans_of
from spanwise.llm.answers import UnusableAnswerError, place_quote, read_object
from spanwise.text import Span, align_texts, apply_edit, normalize_newlines, unstorable

_EDITED = re.compile(r"<edited>(.*?)</edited>", re.DOTALL)


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
    operations = read_object(answer, _Operations).edits
    placed = sorted(
        ((place_quote(operation.find, operation.occurrence, original), operation) for operation in operations),
        key=lambda pair: pair[0],
    )
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
