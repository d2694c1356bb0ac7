"""Rows of other people's data sets as records: what was asked, the answers, and all that no field of ours holds.

A prompt is a text or a list of turns; an answer is a text, a list of turns or a dialogue as hh-rlhf writes it. Keys
that a reader does not know are kept in the provenance under `fields`, so that nothing is lost by reading.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, cast

from spanwise.core import write_jsonl
from spanwise.feedback.formats.contract import Written
from spanwise.feedback.messages import joined_parts
from spanwise.feedback.problems import FieldError, Place, json_name
from spanwise.feedback.prompts import split_dialogue
from spanwise.feedback.schema import FeedbackRecord, Passage, Preference, Response
from spanwise.text import normalize_newlines

Row = dict[str, Any]
RowsOf = Callable[[FeedbackRecord], Iterator[Row | str]]
"""The rows of a record; a string is the reason why there is none."""


def row_of(value: Any) -> Row:
    """The value as a row; FieldError for what is none."""
    if not isinstance(value, dict):
        raise FieldError("", f"a row is a JSON object, this is {json_name(value)}; remove or mend it.")
    return cast("Row", value)


def text_of(row: Row, key: str) -> str:
    """The text under a key that a row must have, line breaks as LF; FieldError for anything else."""
    value = row[key]
    if not isinstance(value, str):
        raise FieldError(key, f"must be a text, this is {json_name(value)}; mend or remove the row.")
    return normalize_newlines(value)


def record_of(
    form: str, place: Place, row: Row, responses: Sequence[Response], *, known: Iterable[str], asked: Any, **more: Any
) -> FeedbackRecord:
    """The record of a row of which the reader knows some keys; the others go along under `fields`.

    `asked` is the prompt, a text or a list of turns.
    """
    fields = {key: value for key, value in row.items() if key not in {*known, "id", "prompt"}}
    provenance = {"format": form, **more.pop("provenance", {}), **({"fields": fields} if fields else {})}
    name = row.get("id")
    return FeedbackRecord.model_validate({
        "id": name_of(place) if name is None or name == "" else str(name),
        "messages" if isinstance(asked, list) else "prompt": asked,
        "responses": tuple(responses),
        "provenance": provenance,
        **more,
    })  # fmt: skip


def name_of(place: Place) -> str:
    """An id for a row without one, made of its line and its position there."""
    return f"{place.line}-{place.item}".removesuffix("-None")


def asked_of(row: Row) -> Any:
    """The prompt of a row, a text or a list of turns; empty where it has none."""
    return lf_only(row.get("prompt")) or ""


def answer_of(value: Any, key: str) -> tuple[Any, str]:
    """What stands before the answer, turns or a text, and the answer."""
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in cast("list[Any]", value)):
        *before, last = cast("list[Row]", lf_only(value))
        if isinstance(last.get("content"), str) and not set(last) & {"tool_calls", "function_call"}:
            return before, str(last["content"])
    if not isinstance(value, str):
        raise FieldError(key, "must be a text or a list of messages with role and content.")
    text = normalize_newlines(value)
    return split_dialogue(text) or ("", text)


def lf_only(value: Any) -> Any:
    """A text, or the turns of a conversation, with line breaks as records have them."""
    if isinstance(value, str):
        return normalize_newlines(value)
    if not isinstance(value, list):
        return value
    turns = [cast("Row", turn) if isinstance(turn, dict) else {} for turn in cast("list[Any]", value)]
    return [
        {**turn, "content": lf_only(joined_parts(turn["content"]))} if "content" in turn else turn for turn in turns
    ]


def passage_of(text: Any, title: str = "") -> tuple[Passage, ...]:
    """A text that an answer may lean on as the one passage of a record; none where there is no text."""
    if not isinstance(text, str) or not text.strip():
        return ()
    return (Passage(title=title, sentences=(normalize_newlines(text),)),)


def ratings_of(row: Row, aspects: Iterable[str]) -> dict[str, float]:
    """The figures under these keys, those that are none left out; texts that are figures count."""
    ratings: dict[str, float] = {}
    for aspect in aspects:
        value = row.get(aspect)
        if isinstance(value, str) and value.strip().removeprefix("-").replace(".", "", 1).isdecimal():
            value = float(value)
        if isinstance(value, int | float):
            ratings[aspect] = float(value)
    return ratings


def preferences_by(scores: Sequence[float | None]) -> tuple[Preference, ...]:
    """What scores of responses prefer: a preference for every two that have one; equal scores are a tie."""
    pairs = combinations([(k, score) for k, score in enumerate(scores) if score is not None], 2)
    return tuple(
        Preference(first=first, second=second, winner="tie" if a == b else "first" if a > b else "second")
        for (first, a), (second, b) in pairs
    )


def write_rows(path: Path, records: Iterable[FeedbackRecord], rows_of: RowsOf) -> Written:
    """Writes the rows of all records, one a line; reasons why there is none are counted."""
    left_out: Counter[str] = Counter()

    def rows() -> Iterator[Row]:
        for record in records:
            for row in rows_of(record):
                if isinstance(row, str):
                    left_out[row] += 1
                else:
                    yield row

    return Written(write_jsonl(path, rows()), dict(left_out))


def decided(record: FeedbackRecord) -> Iterator[tuple[str, str, str] | str]:
    """The better and the worse text of every preference and correction, and which of the two it is, or why none."""
    for preference in record.preferences:
        first, second = record.responses[preference.first].text, record.responses[preference.second].text
        if preference.winner == "tie":
            yield "ties"
        elif first == second:
            yield "pairs of equal texts"
        else:
            yield (first, second, "preference") if preference.winner == "first" else (second, first, "preference")
    for response in record.responses:
        if response.correction == response.text:
            yield "corrections that change nothing"
        elif response.correction is not None:
            yield response.correction, response.text, "correction"
