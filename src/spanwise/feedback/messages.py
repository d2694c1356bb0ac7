"""Turns of a conversation: what TRL and chat templates call `messages`, also where ShareGPT and Alpaca have them.

Where a record has turns, its `prompt` is what people and judges read of them. Input may give the turns as `messages`
or, in TRL's way, as a list under `prompt`; an answer of the assistant at their end is what the record is about.
Knows nothing of templates.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, ConfigDict, model_validator

from spanwise.feedback.problems import FieldError
from spanwise.feedback.record import FilledText, Record, Text, plain_json
from spanwise.text import normalize_newlines


def joined_parts(content: Any) -> Any:
    """The text of a content that is null or a list of text parts, as OpenAI's API and TRL also write it."""
    if content is None:
        return ""
    if not isinstance(content, list | tuple):
        return content
    parts = [cast("dict[str, Any]", part) if isinstance(part, dict) else {} for part in cast("list[Any]", content)]
    if any(not isinstance(part.get("text"), str) for part in parts):
        raise ValueError("holds a part that is no text (an image or a sound); only texts can be read")
    return "".join(str(part["text"]) for part in parts)


class Message(Record):
    """One turn. What else a chat template reads (tool_calls, tool_call_id, name, reasoning_content) is kept with it."""

    model_config = ConfigDict(extra="allow")

    role: FilledText
    """Who speaks: system, user, assistant, tool, or whatever the template knows."""
    content: Annotated[Text, BeforeValidator(joined_parts)] = ""

    @model_validator(mode="after")
    def _plain(self) -> "Message":
        plain_json(self.__pydantic_extra__ or {})
        return self


class Tool(Record):
    """A function that the assistant may call, as its JSON schema; handed to the template as it is."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _plain(self) -> "Tool":
        plain_json(self.__pydantic_extra__ or {})
        return self


FEEDBACK = {"marked", "spans", "missing", "correction"}
"""What a turn of the assistant may carry in a file of feedback."""
Turns = tuple[Message, ...]
Tools = tuple[Tool, ...]


def is_empty(value: Sequence[Any]) -> bool:
    """For fields that are only written where they hold something."""
    return not value


def transcript(messages: Sequence[Message]) -> str:
    """What people read of a conversation: the text of a single turn of the user, else every turn with its speaker."""
    if [message.role for message in messages] == ["user"]:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {_said(message)}" for message in messages)


def opening(prompt: str, messages: Sequence[Message]) -> str:
    """What keeps all turns of one conversation together where data is split: its turns up to the user's first."""
    first = next((number for number, message in enumerate(messages) if message.role == "user"), None)
    return prompt if first is None else transcript(messages[: first + 1])


def read_turns(values: Any, *, answer_at: str | None) -> Any:
    """The fields of a record with its turns under `messages` and what people read of them under `prompt`.

    The assistant's turn at the end goes to `answer_at`, where the values have nothing there yet. Raises FieldError
    where turns end with an answer that has no place, or are given twice.
    """
    if not isinstance(values, dict):
        return values
    fields = dict(cast("dict[str, Any]", values))
    if isinstance(fields.get("prompt"), list | tuple):
        if fields.get("messages"):
            raise FieldError("messages", "stands beside a prompt of turns; leave one of them out.")
        fields["messages"] = fields.pop("prompt")
    turns = _turns(fields.get("messages"))
    if not turns:
        return {"prompt": "-", **fields} if fields.get("messages") else fields  # what is wrong is told of the messages
    if turns[-1].get("role") == "assistant":
        if answer_at is None or answer_at in fields:
            raise FieldError("messages", "end with an answer of the assistant; end them with the turn before it.")
        fields[answer_at] = turns.pop()
    fields["messages"] = turns
    read = transcript([_lenient(turn) for turn in turns])
    if fields.setdefault("prompt", read) != read:
        raise FieldError("prompt", "differs from what its messages say; leave it out, it is filled in.")
    return fields


def judged_turns(values: dict[str, Any]) -> list[dict[str, Any]]:
    """A record of a whole conversation as one record for each of the assistant's turns that carries feedback.

    The turns before it go along, without the feedback on them. A conversation without any is left as it is.
    """
    turns = _turns(values.get("messages"))
    judged = [number for number, turn in enumerate(turns) if FEEDBACK & turn.keys() and turn.get("role") == "assistant"]
    if not judged or "responses" in values:
        return [values]
    plain = [{key: value for key, value in turn.items() if key not in FEEDBACK} for turn in turns]
    return [
        {
            **values,
            "messages": [*plain[:number], turns[number]],
            **({"id": f"{values.get('id', '')}-{number}"} if judged != [len(turns) - 1] else {}),
        }
        for number in judged
    ]


def _turns(messages: Any) -> list[dict[str, Any]]:
    """The turns as plain values; none where that is no list of turns, which the field's own check tells."""
    if not isinstance(messages, list | tuple):
        return []
    plain = [m.model_dump() if isinstance(m, Message) else m for m in cast("list[Any]", messages)]
    return plain if all(isinstance(turn, dict) for turn in plain) else []


def _lenient(turn: Mapping[str, Any]) -> Message:
    """The turn as a message, unchecked: what is wrong with it is told by the field's own check."""
    try:
        content = str(joined_parts(turn.get("content")))
    except ValueError:
        content = ""
    more = {key: value for key, value in turn.items() if key not in ("role", "content")}
    return Message.model_construct(role=str(turn.get("role", "")), content=content, **more)


def _said(message: Message) -> str:
    """The content, or else what the turn holds instead, such as the call of a tool."""
    more = message.__pydantic_extra__
    return message.content or (json.dumps(more, ensure_ascii=False, default=str) if more else "")


_SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "model": "assistant", "assistant": "assistant", "observation": "tool", "tool": "tool",
}  # fmt: skip
"""Who speaks in ShareGPT's files and their kin; other names stay as they are."""


def sharegpt_turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns of a ShareGPT row as messages, its system text before them; FieldError where they are none."""
    turns: Any = row["conversations"]
    if not isinstance(turns, list) or not turns:
        raise FieldError("conversations", "must be a list of turns.")
    if isinstance(row.get("system"), str) and row["system"]:
        turns = [{"from": "system", "value": row["system"]}, *cast("list[Any]", turns)]
    return [_turn(turn, f"conversations.{number}") for number, turn in enumerate(cast("list[Any]", turns))]


def _turn(turn: Any, place: str) -> dict[str, Any]:
    who, said = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
    if not isinstance(who, str) or not isinstance(said, str):
        raise FieldError(place, "must be a turn with from and value.")
    return {"role": _SPEAKERS.get(who, who), "content": normalize_newlines(said)}


def alpaca_prompt(row: dict[str, Any]) -> str | list[dict[str, Any]]:
    """What an Alpaca row asks: the instruction and its input, as turns where a system text or a history comes first."""
    asked = row["instruction"]
    if not isinstance(asked, str) or not isinstance(row.get("input") or "", str):
        raise FieldError("instruction", "must be a text, and so must input.")
    context = row.get("input") or ""
    asked = normalize_newlines(f"{asked}\n\n{context}" if context.strip() else asked)
    earlier = [
        {"role": role, "content": normalize_newlines(said)}
        for pair in row.get("history") or []
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return [*system, *earlier, {"role": "user", "content": asked}] if system or earlier else asked


def asked_elsewhere(values: Any) -> Any:
    """The same fields, with the prompt of a ShareGPT or Alpaca row where our fields stand."""
    if not isinstance(values, dict) or {"prompt", "messages"} & set(cast("dict[str, Any]", values)):
        return cast("Any", values)
    fields = dict(cast("dict[str, Any]", values))
    if "conversations" in fields:
        turns = sharegpt_turns(fields)
        return {**_without(fields, "conversations", "system"), "messages": turns}
    if "instruction" in fields:
        return {**_without(fields, "instruction", "input", "system", "history"), "prompt": alpaca_prompt(fields)}
    return fields


def demonstrated_elsewhere(values: Any) -> Any:
    """The same, with the answer of an Alpaca row as the completion."""
    fields = asked_elsewhere(values)
    if fields is values or "output" not in fields:
        return fields
    answer = fields["output"]
    return {
        **_without(fields, "output"),
        "completion": normalize_newlines(answer) if isinstance(answer, str) else answer,
    }


def _without(fields: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in keys}
