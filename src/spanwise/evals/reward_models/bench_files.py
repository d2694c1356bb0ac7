"""Files of RewardBench, RewardBench 2 and their like: rows with prompt, chosen, rejected and perhaps subset and id.

An answer is text, a conversation (a list of messages with role and content, whose last one answers) or a dialogue of
hh-rlhf; `chosen` and `rejected` may be lists of answers. JSON list or JSON lines, gzipped or not. Knows nothing of
scores.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast

from spanwise.core import DataError
from spanwise.evals.reward_models.bench import BenchCase
from spanwise.evals.win_rate import read_rows
from spanwise.feedback import named_instead, split_dialogue

ANSWERS = "a text, a list of messages with role and content, or a list of such answers"
Message = Mapping[str, Any]


def read_bench(path: Path) -> list[BenchCase]:
    """The cases of a file; raises DataError that names the row without prompt, chosen or rejected."""
    with named_instead(path, "trl-preference"):
        cases = [_case(number, row, path) for number, row in enumerate(read_rows(path, ()), start=1)]
    same = [case.id for case in cases if {*case.chosen} & {*case.rejected}]
    if same:
        raise DataError(f"{path}: row {same[0]}: chosen and rejected are one text ({len(same)} such); drop the pair.")
    return cases


def _case(number: int, row: Mapping[str, Any], path: Path) -> BenchCase:
    place = f"{path}: row {number}"
    answers = {key: _answers(row.get(key), key, place) for key in ("chosen", "rejected")}
    prompts = {prompt for pairs in answers.values() for prompt, _ in pairs if prompt}
    prompt = _prompt(row.get("prompt"), prompts, place)
    return BenchCase(
        id=str(number),
        prompt=prompt,
        chosen=tuple(text for _, text in answers["chosen"]),
        rejected=tuple(text for _, text in answers["rejected"]),
        subset=str(row.get("subset") or "all"),
        name="" if row.get("id") is None else str(row["id"]),
    )


def _prompt(value: object, before: set[str], place: str) -> str:
    """The prompt's own field, or what stands before the answers where these are whole conversations."""
    if isinstance(value, str):
        return value
    if _is_conversation(value):
        return _spoken(value)
    if value is None and len(before) == 1:
        return next(iter(before))
    if value is None and before:
        raise DataError(f"{place}: chosen and rejected answer different conversations; give the row a prompt.")
    raise DataError(f"{place} has no text under 'prompt'; add it, as text or as messages, or drop the row.")


def _answers(value: object, key: str, place: str) -> list[tuple[str, str]]:
    """(what stands before the answer, the answer) of each."""
    if isinstance(value, str) or _is_conversation(value):
        return [_answer(value, key, place)]
    if isinstance(value, list) and value:
        return [_answer(answer, key, place) for answer in cast("list[object]", value)]
    raise DataError(f"{place} has no text under {key!r}; give {ANSWERS}, or drop the row.")


def _answer(value: object, key: str, place: str) -> tuple[str, str]:
    if isinstance(value, str):
        return split_dialogue(value) or ("", value)
    if _is_conversation(value):
        return _spoken(value[:-1]), str(value[-1]["content"])
    raise DataError(f"{place}: {key} is neither text nor messages with role and content; give {ANSWERS}.")


def _spoken(messages: Sequence[Message]) -> str:
    """One message by itself is its text; several are told apart by their roles."""
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _is_conversation(value: object) -> TypeGuard[list[Message]]:
    return isinstance(value, list) and bool(value) and all(map(_is_message, cast("list[object]", value)))


def _is_message(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    message = cast("dict[str, Any]", value)
    return isinstance(message.get("role"), str) and isinstance(message.get("content"), str)
