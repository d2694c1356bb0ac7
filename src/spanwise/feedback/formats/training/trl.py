"""TRL's data sets: preferences, which are read as well, unpaired labels, and stepwise supervision.

Preferences are read plain, as messages, and as the dialogues of hh-rlhf, whose prompt is what both share. The prompt
that is written is the text that our policies read. Step texts keep the white space at their ends, so that they join to
the response: train with `step_separator=""`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.core import write_jsonl
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.messages import joined_parts
from spanwise.feedback.problems import FieldError, Place, json_name
from spanwise.feedback.prompts import build_prompt, split_dialogue
from spanwise.feedback.schema import FeedbackRecord, Preference, Response
from spanwise.text import Span, get_segmenter, normalize_newlines

Row = dict[str, Any]
RowsOf = Callable[[FeedbackRecord], Iterator[Row | str]]
"""The rows of a record; a string is the reason why there is none."""


def read_preference(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: two responses of which the first is preferred, or one with its correction."""
    return converted(path, _record, reading)


def write_preference(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per decided pair and per correction that changed something; `source` says which."""
    return _write(path, records, _preferences)


def write_unpaired(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked response; its label says that nobody found an error or a gap in it."""
    return _write(path, records, _unpaired)


def write_stepwise(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked response: its sub-sentences, and whether no mark touches them."""
    return _write(path, records, _stepwise)


def _record(value: Any, place: Place, _reading: Reading) -> Iterator[FeedbackRecord]:
    if not isinstance(value, dict):
        raise FieldError("", f"a row is a JSON object, this is {json_name(value)}; remove or mend it.")
    row = cast("Row", value)
    (before, chosen), (others, rejected) = (_answer(row[key], key) for key in ("chosen", "rejected"))
    asked = _lf_only(row.get("prompt")) or before
    if asked is before and before != others:
        raise FieldError("", "chosen and rejected answer different prompts; give the row a prompt of its own.")
    if chosen == rejected:
        raise FieldError("rejected", "is the text of chosen, so that nothing is preferred; drop the row.")
    fields: Row = {"preferences": (Preference(first=0, second=1, winner="first"),)}
    fields["responses"] = (Response(text=chosen), Response(text=rejected))
    if row.get("source") == "correction":
        fields = {"responses": (Response(text=rejected, correction=chosen),)}
    name = str(row.get("id") or row.get("prompt_id") or f"{place.line}-{place.item}".removesuffix("-None"))
    fields |= {"id": name, "provenance": {"format": "trl-preference"}}
    yield FeedbackRecord.model_validate(fields | {"messages" if isinstance(asked, list) else "prompt": asked})


def _answer(value: Any, key: str) -> tuple[Any, str]:
    """What stands before the answer, turns or a text, and the answer."""
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in cast("list[Any]", value)):
        *before, last = cast("list[Row]", _lf_only(value))
        if isinstance(last.get("content"), str):
            return before, str(last["content"])
    if not isinstance(value, str):
        raise FieldError(key, "must be a text or a list of messages with role and content.")
    text = normalize_newlines(value)
    return split_dialogue(text) or ("", text)


def _lf_only(value: Any) -> Any:
    """A text, or the turns of a conversation, with line breaks as records have them."""
    if isinstance(value, str):
        return normalize_newlines(value)
    if not isinstance(value, list):
        return value
    turns = [cast("Row", turn) if isinstance(turn, dict) else {} for turn in cast("list[Any]", value)]
    return [
        {**turn, "content": _lf_only(joined_parts(turn["content"]))} if "content" in turn else turn for turn in turns
    ]


def _write(path: Path, records: Iterable[FeedbackRecord], rows_of: RowsOf) -> Written:
    left_out: Counter[str] = Counter()

    def rows() -> Iterator[Row]:
        for record in records:
            for row in rows_of(record):
                if isinstance(row, str):
                    left_out[row] += 1
                else:
                    yield row

    return Written(write_jsonl(path, rows()), dict(left_out))


def _preferences(record: FeedbackRecord) -> Iterator[Row | str]:
    prompt = build_prompt(record.prompt, record.passages)
    for preference in record.preferences:
        first, second = record.responses[preference.first].text, record.responses[preference.second].text
        if preference.winner == "tie":
            yield "ties"
        elif first == second:
            yield "pairs of equal texts"
        else:
            chosen, rejected = (first, second) if preference.winner == "first" else (second, first)
            yield {"prompt": prompt, "chosen": chosen, "rejected": rejected, "source": "preference"}
    for response in record.responses:
        if response.correction == response.text:
            yield "corrections that change nothing"
        elif response.correction is not None:
            pair = {"chosen": response.correction, "rejected": response.text}
            yield {"prompt": prompt, **pair, "source": "correction"}


def _unpaired(record: FeedbackRecord) -> Iterator[Row | str]:
    for response in record.responses:
        good = not any(mark.blames for mark in response.spans) and not response.missing
        row = {"prompt": build_prompt(record.prompt, record.passages), "completion": response.text, "label": good}
        yield row if response.marked else "responses that nobody marked"


def _stepwise(record: FeedbackRecord) -> Iterator[Row | str]:
    for response in record.responses:
        if not response.marked:
            yield "responses that nobody marked"
            continue
        segments = get_segmenter("sub-sentence")(response.text)
        yield {
            "prompt": build_prompt(record.prompt, record.passages),
            "completions": [segment.of(response.text) for segment in segments],
            "labels": [not _touched(segment, response) for segment in segments],
        }


def _touched(segment: Span, response: Response) -> bool:
    return any(mark.blames and segment.overlap(mark.span) for mark in response.spans)
