"""What a model is asked until its answer can be used: again with what was wrong, as often as allowed.

An answer is usable, or there is a reason why there is none; whatever else a model says is never guessed at. Knows
nothing of what is asked.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from spanwise.core import BadJSONError, parse
from spanwise.llm.calls import Caller
from spanwise.llm.chat import CallError, ChatReply, ChatRequest
from spanwise.text import Span, find_quote, normalize_newlines

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)
Turn = tuple[str, str]
"""An answer that could not be used, and the complaint."""

AnswerFault = Literal[
    "answered in prose", "not JSON", "wrong form", "text not found", "overlapping edits", "cut off", "unusable text"
]

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)


class UnusableAnswerError(Exception):
    """The answer cannot be used; `complaint` is what the model is told when it is asked again."""

    def __init__(self, fault: AnswerFault, complaint: str) -> None:
        super().__init__(f"{fault}: {complaint}")
        self.fault: AnswerFault = fault
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Usable(Generic[T]):
    """What an answer says, and the call that it came from."""

    value: T
    request: ChatRequest
    reply: ChatReply
    asked: int = 1
    """Which attempt it was, from 1."""
    faults: tuple[AnswerFault, ...] = ()
    """Of the attempts before."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why there is no answer; `raw` is what the model said last."""

    reason: str
    detail: str
    raw: str = ""
    asked: int = 1
    faults: tuple[AnswerFault, ...] = ()


def ask_until_usable(
    caller: Caller,
    request_of: Callable[[Sequence[Turn]], ChatRequest],
    read: Callable[[str], T],
    *,
    attempts: int,
) -> Usable[T] | Unusable:
    """Asks `attempts` times at most; `read` raises UnusableAnswerError for what cannot be used.

    An answer that ran into its limit is not asked for again, a reply that is none at all (half a body) is.
    """
    turns: list[Turn] = []
    faults: list[AnswerFault] = []
    asked = 0
    while True:
        asked += 1
        request = request_of(turns)
        try:
            reply = caller.ask(request)
        except CallError as error:
            if error.kind == "malformed reply" and asked < attempts:
                continue
            raw = error.paid.text if error.paid else ""
            return Unusable(error.kind, error.reason, raw, asked, tuple(faults))
        try:
            return Usable(read(_whole(reply, request)), request, reply, asked, tuple(faults))
        except UnusableAnswerError as error:
            faults.append(error.fault)
            turns.append((reply.text or "(nothing)", f"{error.complaint} Answer again in the form that was asked."))
            if asked >= attempts or error.fault == "cut off":
                return Unusable(error.fault, error.complaint, reply.text, asked, tuple(faults))


def _whole(reply: ChatReply, request: ChatRequest) -> str:
    if reply.finish == "length":
        raise UnusableAnswerError("cut off", f"The answer ran into the limit of {request.max_tokens} tokens.")
    return reply.text


def read_object(answer: str, form: type[ModelT]) -> ModelT:
    """The JSON object of an answer, fenced or not; raises UnusableAnswerError."""
    fenced = _FENCE.match(answer)
    body = fenced[1] if fenced else answer
    if not body.lstrip().startswith("{"):
        raise UnusableAnswerError("answered in prose", "The answer was not a JSON object.")
    try:
        return form.model_validate(parse(body))
    except BadJSONError as error:
        raise UnusableAnswerError("not JSON", f"The answer was {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UnusableAnswerError("wrong form", f"{key}: {first['msg']}.") from error


def place_quote(quote: str, occurrence: int, text: str) -> Span:
    """Exactly where an answer says that a text stands; raises UnusableAnswerError where it does not stand there."""
    found = find_quote(text, normalize_newlines(quote), occurrence)
    if found is None:
        count = text.count(normalize_newlines(quote))
        raise UnusableAnswerError("text not found", f"The answer holds {quote!r} {count} times; copy it exactly.")
    return found
