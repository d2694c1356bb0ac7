"""Conversations as other projects keep them: hh-rlhf's transcripts, ShareGPT's turns, Alpaca's instructions.

Read, they are records of the last answer, which nobody marked, or of a preferred and a rejected one, as LLaMA-Factory
lays them out; an answer that was called good or bad (`kto_tag`) keeps that as a rating. Written are the answers to
imitate (corrections) or, for hh-rlhf, every decided pair.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.rows import Row, decided, record_of, row_of, text_of, write_rows
from spanwise.feedback.formats.steps import label_of
from spanwise.feedback.messages import Message, alpaca_prompt, sharegpt_turns
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.prompts import plain_prompt
from spanwise.feedback.schema import FeedbackRecord, Preference, Response
from spanwise.text import normalize_newlines

_TURN = re.compile(r"\n\n(Human|Assistant):")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_NAMES = {"user": "human", "assistant": "gpt"}
_PREFERRED = (Preference(first=0, second=1, winner="first"),)


def read_hh(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per row: the turns that both transcripts share, and the answer that was chosen before the other."""
    return converted(path, _hh, reading)


def read_sharegpt(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per conversation, of its last answer or of a chosen and a rejected one."""
    return converted(path, _sharegpt, reading)


def read_alpaca(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per instruction with its input, of the output or of a chosen and a rejected one."""
    return converted(path, _alpaca, reading)


def write_hh(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per decided pair and per correction that changed something."""
    return write_rows(path, records, _transcripts)


def write_sharegpt(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One conversation per correction."""
    return write_rows(path, records, _conversations)


def write_alpaca(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One instruction per correction; the passages stand above the prompt, and the input is empty."""
    return write_rows(path, records, _instructions)


def _hh(value: Any, place: Place, _reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    (before, chosen), (others, rejected) = (_split(text_of(row, key), key) for key in ("chosen", "rejected"))
    if before != others:
        raise FieldError("", "chosen and rejected answer different dialogues, so that they cannot be compared.")
    if chosen == rejected:
        raise FieldError("rejected", "is the text of chosen, so that nothing is preferred; drop the row.")
    responses = [Response(text=chosen), Response(text=rejected)]
    known = ("chosen", "rejected")
    yield record_of("hh-rlhf", place, row, responses, known=known, asked=before, preferences=_PREFERRED)


def _split(transcript: str, key: str) -> tuple[list[Row], str]:
    """The turns before the last answer, and that answer."""
    opening, *parts = _TURN.split(transcript if transcript.startswith("\n\n") else f"\n\n{transcript}")
    turns = [
        {"role": _SPEAKERS[name], "content": said.strip()} for name, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    if opening.strip() or len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise FieldError(key, "is no dialogue of Human: and Assistant: that ends with an answer.")
    return turns[:-1], turns[-1]["content"]


def _sharegpt(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    turns, known = sharegpt_turns(row), ("conversations", "system", "tools", "chosen", "rejected", "kto_tag")
    if {"chosen", "rejected"} <= set(row):
        answers = [_said(row[key], key) for key in ("chosen", "rejected")]
        reading.lost("labels beside a pair", row.get("kto_tag") is not None)
        preferred = record_of("sharegpt", place, row, answers, known=known, asked=turns, preferences=_PREFERRED)
        yield preferred
        return
    *before, last = turns
    if last["role"] != "assistant" or not before:
        raise FieldError("conversations", "end without an answer; there is nothing to give feedback on.")
    answer = Response(text=last["content"], ratings=_tag(row))
    yield record_of("sharegpt", place, row, [answer], known=known, asked=before)


def _said(value: Any, key: str) -> Response:
    turn = value if isinstance(value, dict) else {"value": value}
    said = turn.get("value", turn.get("content"))
    if not isinstance(said, str):
        raise FieldError(key, "must be a turn with its text under value.")
    return Response(text=normalize_newlines(said))


def _tag(row: Row) -> dict[str, float]:
    """Whether the answer was called good, where the row says so."""
    tag = label_of(row.get("kto_tag"), "kto_tag")
    return {} if tag is None else {"label": float(tag)}


def _alpaca(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    row = row_of(value)
    known = ("instruction", "input", "output", "system", "history", "chosen", "rejected", "kto_tag")
    asked = alpaca_prompt(row)
    if {"chosen", "rejected"} <= set(row):
        answers = [_said(row[key], key) for key in ("chosen", "rejected")]
        reading.lost("labels beside a pair", row.get("kto_tag") is not None)
        reading.lost("answers beside a pair", bool(row.get("output")))
        yield record_of("alpaca", place, row, answers, known=known, asked=asked, preferences=_PREFERRED)
        return
    answer = Response(text=text_of(row, "output"), ratings=_tag(row))
    yield record_of("alpaca", place, row, [answer], known=known, asked=asked)


def _turns(record: FeedbackRecord) -> list[tuple[str, str]]:
    """Role and text of the turns before the answer, passages before a single question."""
    messages: Iterable[Message] = record.messages
    asked = [(message.role, message.content) for message in messages]
    return asked or [("user", plain_prompt(record.prompt, record.passages))]


def _transcripts(record: FeedbackRecord) -> Iterator[Row | str]:
    turns = _turns(record)
    if any(role not in _SPEAKERS.values() for role, _ in turns):
        yield "conversations with other turns than of a human and an assistant"
        return
    names = {role: name for name, role in _SPEAKERS.items()}
    before = "".join(f"\n\n{names[role]}: {text}" for role, text in turns)
    for pair in decided(record):
        if isinstance(pair, str):
            yield pair
        else:
            chosen, rejected, _ = (f"{before}\n\nAssistant: {text}" for text in pair)
            yield {"chosen": chosen, "rejected": rejected}


def _corrections(record: FeedbackRecord) -> Iterator[str | None]:
    """The correction of every response; None for responses that nobody corrected."""
    return (response.correction for response in record.responses)


def _conversations(record: FeedbackRecord) -> Iterator[Row | str]:
    before = [{"from": _NAMES.get(role, role), "value": text} for role, text in _turns(record)]
    for answer in _corrections(record):
        said = {"conversations": [*before, {"from": "gpt", "value": answer}]}
        yield "responses that nobody corrected" if answer is None else said


def _instructions(record: FeedbackRecord) -> Iterator[Row | str]:
    prompt = plain_prompt(record.prompt, record.passages)
    for answer in _corrections(record):
        row = {"instruction": prompt, "input": "", "output": answer}
        yield "responses that nobody corrected" if answer is None else cast("Row", row)
