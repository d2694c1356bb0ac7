"""The edit pair: a response, the same response after an edit, who edited it, and the spans that changed.

One pair is one line of a JSONL file; `prompt`, `original` and `edited` are all that a line needs. Spans are half-open
code points on both sides; putting the edited pieces in place of the original ones gives the edited text. A pair may
be useless (identical, empty, a rewrite): `statistics/validation.py` says so, the record only says what there is.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from spanwise.feedback.messages import Tools, Turns, is_empty, opening, read_turns
from spanwise.feedback.problems import FieldError
from spanwise.feedback.record import Index, Json, Record, Text
from spanwise.feedback.schema import FeedbackRecord, Passage
from spanwise.text import Span, TextEdit, align_texts, apply_edit


class EditSpan(Record):
    """One change: `[start, end)` of the original became `[edited_start, edited_end)` of the edited text."""

    start: Index
    end: Index
    edited_start: Index
    edited_end: Index
    category: Text = ""
    """The kind of error that was mended, where the editor named one."""
    reason: Text = ""
    """Why, in the editor's words."""

    @property
    def original_span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def edited_span(self) -> Span:
        return Span(self.edited_start, self.edited_end)


class Editor(Record):
    """Who edited: a person, a language model, or the oracle of the simulated world."""

    kind: Literal["human", "model", "oracle", "unknown"] = "unknown"
    name: Text = ""
    """Whatever tells this editor from others: a person's code name, a model's name and version."""
    details: Json = Field(default_factory=dict)
    """How the edit was made: settings, prompt, request, cost."""


class EditPair(Record):
    """A response and its edit, the edit being the better one."""

    schema_version: Literal[1] = 1
    id: Text = ""
    prompt: Text = ""
    """What was asked; where there are `messages`, what people read of them."""
    messages: Turns = Field(default=(), exclude_if=is_empty)
    """The turns before the response, where the prompt is a conversation."""
    tools: Tools = Field(default=(), exclude_if=is_empty)
    """The tools that the assistant may call, as chat templates take them."""
    passages: tuple[Passage, ...] = ()
    original: Text
    edited: Text
    editor: Editor = Editor()
    spans: tuple[EditSpan, ...] | None = None
    """The changes in order; None where nobody has said them: then the texts are aligned."""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False, exclude_if=lambda weight: weight == 1.0)
    """How much the pair counts in `spanwise dpo` beside those of weight 1."""
    provenance: Json = Field(default_factory=dict)
    """Where the pair came from; importers keep here what no field of ours holds."""

    @model_validator(mode="before")
    @classmethod
    def _turns(cls, values: Any) -> Any:
        return read_turns(values, answer_at=None)

    @model_validator(mode="after")
    def _consistent(self) -> "EditPair":
        if self.spans is not None:
            _check_spans(self.spans, self.original, self.edited)
        return self

    @property
    def question(self) -> str:
        """What keeps records together where data is split: the prompt, or of a conversation its opening."""
        return opening(self.prompt, self.messages)

    def aligned(self) -> TextEdit:
        """The default alignment of the two texts, by words."""
        return align_texts(self.original, self.edited)


def edit_pair(original: str, edited: str, **fields: object) -> EditPair:
    """An EditPair with the spans of the default alignment filled in."""
    spans = spans_of(original, edited)
    return EditPair.model_validate({"original": original, "edited": edited, **fields, "spans": spans})


def spans_of(original: str, edited: str) -> tuple[EditSpan, ...]:
    """The changes of the default alignment as stored spans."""
    return tuple(
        EditSpan(
            start=part.original.start,
            end=part.original.end,
            edited_start=part.edited.start,
            edited_end=part.edited.end,
        )
        for part in align_texts(original, edited).changes
    )


def chain_of(pair: EditPair) -> list[EditPair]:
    """The drafts between original and edit, one more change made in each, from left to right, as pairs of neighbours.

    Each pair teaches one change. A chain of n pairs has the weight of the pair that it was made of, 1 / n each; a pair
    without a change gives none.
    """
    spans = spans_of(pair.original, pair.edited) if pair.spans is None else pair.spans
    kept = {key: value for key, value in pair.provenance.items() if key != "tags"}  # of the original's words alone
    drafts = [pair.original]
    for done in range(1, len(spans) + 1):
        made = [(span.original_span, span.edited_span.of(pair.edited)) for span in spans[:done]]
        drafts.append(apply_edit(pair.original, made))
    return [
        pair.model_copy(update={
            "id": f"{pair.id}-{step}" if pair.id else "",
            "original": before,
            "edited": after,
            "spans": (_moved(spans[: step + 1]),),
            "weight": pair.weight / len(spans),
            "provenance": {**kept, "chain": {"of": pair.id, "step": step, "steps": len(spans)}},
        })
        for step, (before, after) in enumerate(pairwise(drafts))
    ]  # fmt: skip


def _moved(spans: Sequence[EditSpan]) -> EditSpan:
    """The last of the spans, in a draft in which those before it were made already."""
    last = spans[-1]
    size = last.end - last.start
    return last.model_copy(update={"start": last.edited_start, "end": last.edited_start + size})


def pairs_of_corrections(records: Iterable[FeedbackRecord]) -> Iterator[EditPair]:
    """A pair for every response that somebody corrected; unchanged ones are told by their validation."""
    for record in records:
        for number, response in enumerate(record.responses):
            if response.correction is None:
                continue
            yield edit_pair(
                response.text,
                response.correction,
                id=f"{record.id}-{number}",
                prompt=record.prompt,
                messages=record.messages,
                tools=record.tools,
                passages=record.passages,
                editor=Editor(kind="human", name=record.annotator or ""),
                provenance={"record": record.id, "response": number},
            )


def _check_spans(spans: tuple[EditSpan, ...], original: str, edited: str) -> None:
    at = to = 0
    for index, span in enumerate(spans):
        inside = at <= span.start <= span.end <= len(original)
        if not (inside and to <= span.edited_start <= span.edited_end <= len(edited)):
            raise FieldError(f"spans.{index}", "lies outside its text or before the span ahead; correct the offsets.")
        if original[at : span.start] != edited[to : span.edited_start]:
            raise FieldError(f"spans.{index}", "has texts before it that differ; a change is missing ahead of it.")
        at, to = span.end, span.edited_end
    if original[at:] != edited[to:]:
        raise FieldError("spans", "leave texts at the end that differ; the last change is missing.")
