"""What is asked of a language model and what comes back, whoever serves it.

A request is all that the reply depends on; its key names the reply in every store, so that nothing is paid twice and
a changed prompt, model or setting never reuses an old reply. Knows nothing of endpoints, and not what replies mean.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

FailureKind = Literal[
    "time-out", "connection", "rate limit", "no access", "prompt too long", "rejected", "server error",
    "malformed reply", "model refused", "over budget",
]  # fmt: skip
"""Why there is no reply: "no access" is the endpoint's no to every request (key, model or address are wrong),
"rejected" its no to this one, "model refused" the model's no to the task, "over budget" our own no to more costs."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One conversation to be continued.

    `schema` asks for one JSON object of that form; `choices` for one of these words and how likely each is as the first
    token of the answer.
    """

    model: str
    system: str
    messages: tuple[tuple[Literal["user", "assistant"], str], ...]
    max_tokens: int
    temperature: float | None = None
    seed: int | None = None
    schema: dict[str, Any] | None = None
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 of everything in the request, in hex."""
        values = asdict(self)
        if not self.choices:  # books that are older than this field keep their replies
            del values["choices"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What the model said, and what it took."""

    text: str
    finish: Literal["stop", "length"]
    """"length" where the answer ran into `max_tokens` and has no end of its own."""
    model: str
    """The model as the endpoint names it, version included."""
    input_tokens: int = 0
    output_tokens: int = 0
    reply_id: str = ""
    received: str = ""
    """When it came, as ISO 8601 in UTC."""
    logprobs: dict[str, float] | None = None
    """Log-probability of each of the request's choices that the endpoint lists; None where it lists nothing."""


class CallError(Exception):
    """A call that gave no reply; `paid` says that the endpoint charged for it all the same."""

    def __init__(self, kind: FailureKind, reason: str, *, paid: ChatReply | None = None) -> None:
        super().__init__(reason)
        self.kind: FailureKind = kind
        self.reason = reason
        self.paid = paid


class ChatClient(Protocol):
    """Anything that continues a conversation; called from several threads at once."""

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError when there is none after the client's own retries."""
        ...
