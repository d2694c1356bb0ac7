"""TRL's data sets: prompts, prompts with completions, preferences, unpaired labels, and stepwise supervision.

Prompts and answers are plain or messages. The prompt that is written is the text that our policies read. Steps of marks
that were not judged step by step are sub-sentences, which keep the white space at their ends, so that they join to the
response: train with `step_separator=""`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import (
    Row,
    answer_of,
    asked_of,
    decided,
    lf_only,
    name_of,
    record_of,
    row_of,
    write_rows,
)
from spanwise.feedback.formats.steps import label_of, stepped, steps_of
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.prompts import build_prompt
from spanwise.feedback.schema import FeedbackRecord, Preference, Response
from spanwise.text import Span, get_segmenter

TRAINERS = {
    "trl-completion", "trl-preference", "trl-unpaired", "trl-stepwise", "hh-rlhf", "sharegpt", "alpaca", "prm800k",
    "math-shepherd",
}  # fmt: skip
"""Formats whose prompts are whole: nothing is put around them when they are written again."""
LABEL = "label"
"""The rating by which a whole answer was called good (1) or bad (0)."""


def read_completion(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: its completion, which nobody marked."""
    return converted(path, _completed, reading)


def read_preference(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: two responses of which the first is preferred, or one with its correction."""
    return converted(path, _preferred, reading)


def read_unpaired(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: a response, whose label is a rating of the whole; nobody looked for spans."""
    return converted(path, _labelled, reading)


def read_stepwise(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: the steps as one response in which the wrong ones are marked."""
    return converted(path, _judged, reading)


def write_prompts(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per question, each once."""
    known = set[str]()

    def rows(record: FeedbackRecord) -> Iterator[Row | str]:
        row = _asked(record)
        text = json.dumps(row)
        yield "questions that were there before" if text in known else row
        known.add(text)

    return write_rows(path, records, rows)


def write_preference(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per decided pair and per correction that changed something; `source` says which."""
    return write_rows(path, records, _preferences)


def write_unpaired(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked or labelled response; its label says that nobody found an error or a gap in it."""
    return write_rows(path, records, _unpaired)


def write_stepwise(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked response: its steps, else its sub-sentences, and whether no mark touches them."""
    return write_rows(path, records, _stepwise)


def _completed(value: Any, place: Place, _reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    if "completion" not in row and "messages" in row:
        before, text = answer_of(row["messages"], "messages")
        yield record_of("trl-completion", place, row, [Response(text=text)], known=("messages",), asked=before)
        return
    yield record_of("trl-completion", place, row, [_completion(row)], known=("completion",), asked=asked_of(row))


def _completion(row: Row, **more: Any) -> Response:
    """The completion of a row, a text or one turn of the assistant."""
    value = row["completion"]
    if isinstance(value, str):
        return Response(text=lf_only(value), **more)
    before, text = answer_of(value, "completion")
    if before:
        raise FieldError("completion", f"holds {len(before) + 1} turns; write a row for each answer.")
    return Response(text=text, **more)


def _preferred(value: Any, place: Place, _reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    (before, chosen), (others, rejected) = (answer_of(row[key], key) for key in ("chosen", "rejected"))
    asked = lf_only(row.get("prompt")) or before
    if asked is before and before != others:
        raise FieldError("", "chosen and rejected answer different prompts; give the row a prompt of its own.")
    if chosen == rejected:
        raise FieldError("rejected", "is the text of chosen, so that nothing is preferred; drop the row.")
    fields: Row = {"preferences": (Preference(first=0, second=1, winner="first"),)}
    responses = [Response(text=chosen), Response(text=rejected)]
    if row.get("source") == "correction":
        fields, responses = {}, [Response(text=rejected, correction=chosen)]
    row = {**row, "id": row.get("id") or row.get("prompt_id") or name_of(place)}
    ours = {"source"} if row.get("source") in ("correction", "preference") else set[str]()
    known = {"chosen", "rejected", "prompt_id"} | ours
    yield record_of("trl-preference", place, row, responses, known=known, asked=asked, **fields)


def _labelled(value: Any, place: Place, _reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    label = label_of(row["label"], "label")
    if label is None:
        raise FieldError("label", "says nothing; drop the row.")
    response = _completion(row, ratings={LABEL: float(label)})
    yield record_of("trl-unpaired", place, row, [response], known=("completion", "label"), asked=asked_of(row))


def _judged(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    steps, labels = (_listed(row, key) for key in ("completions", "labels"))
    if not steps or len(steps) != len(labels) or not all(isinstance(step, str) for step in steps):
        reason = f"must be as many as there are completions, which are texts ({len(labels)} for {len(steps)})."
        raise FieldError("labels", reason)
    right = [label_of(label, f"labels.{number}") for number, label in enumerate(labels)]
    response, places = stepped(steps, right, reading)
    known, provenance = ("completions", "labels"), {"steps": [places]}
    asked = asked_of(row)
    yield record_of("trl-stepwise", place, row, [response], known=known, asked=asked, provenance=provenance)


def _listed(row: Row, key: str) -> list[Any]:
    value = row[key]
    if not isinstance(value, list):
        raise FieldError(key, "must be a list, one entry a step.")
    return cast("list[Any]", value)


def _asked(record: FeedbackRecord) -> Row:
    """The prompt of a row: turns as turns, what came from rows of a trainer as it came, else what our policies read."""
    if record.messages:
        tools = {"tools": [tool.model_dump(mode="json") for tool in record.tools]} if record.tools else {}
        return {"prompt": [turn.model_dump(mode="json") for turn in record.messages], **tools}
    as_it_came = record.provenance.get("format") in TRAINERS
    return {"prompt": record.prompt if as_it_came else build_prompt(record.prompt, record.passages)}


def _said(record: FeedbackRecord, text: str) -> Any:
    """An answer of a row, a turn where the prompt is made of turns."""
    return [{"role": "assistant", "content": text}] if record.messages else text


def _preferences(record: FeedbackRecord) -> Iterator[Row | str]:
    for pair in decided(record):
        if isinstance(pair, str):
            yield pair
        else:
            chosen, rejected, source = pair
            both = {"chosen": _said(record, chosen), "rejected": _said(record, rejected)}
            yield {**_asked(record), **both, "source": source}


def _unpaired(record: FeedbackRecord) -> Iterator[Row | str]:
    for response in record.responses:
        good = not any(mark.blames for mark in response.spans) and not response.missing
        said = good if response.marked else response.ratings.get(LABEL)
        row = {**_asked(record), "completion": _said(record, response.text), "label": bool(said)}
        yield row if said is not None else "responses that nobody marked"


def _stepwise(record: FeedbackRecord) -> Iterator[Row | str]:
    for position, response in enumerate(record.responses):
        if not response.marked:
            yield "responses that nobody marked"
            continue
        steps: Sequence[Span] = steps_of(record, position) or get_segmenter("sub-sentence")(response.text)
        yield {
            "prompt": record.prompt if record.messages else _asked(record)["prompt"],
            "completions": [step.of(response.text) for step in steps],
            "labels": [not _touched(step, response) for step in steps],
        }


def _touched(segment: Span, response: Response) -> bool:
    return any(mark.blames and segment.overlap(mark.span) for mark in response.spans)
