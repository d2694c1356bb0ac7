"""Many calls at once: as many as allowed under way, no more per minute than allowed, each reply written down at once.

What cannot be had is a failure with a kind and a reason, never an end of the run. Knows nothing of what is asked.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from spanwise.llm.chat import CallError, ChatClient, ChatReply, ChatRequest
from spanwise.llm.config import EndpointConfig
from spanwise.llm.replies import ReplyBook

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Usage:
    """What a run asked and what it took; tokens and cost count replies from the book as well, `asked` does not."""

    asked: int = 0
    from_book: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    spent: float = 0.0
    """What the new replies cost, where prices are given."""
    failures: Counter[str] = field(default_factory=Counter[str])

    def add(self, reply: ChatReply, *, old: bool, cost: float = 0.0) -> None:
        """Counts one reply, which cost so much."""
        self.from_book += old
        self.spent += 0.0 if old else cost
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens


class RateLimit:
    """Spaces calls evenly: at most `per_minute` of them; None does not wait. Used from several threads at once."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Returns when the next call may go out."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap
        if start > now:
            time.sleep(start - now)


class Answered(NamedTuple):
    """What came of one of many requests."""

    position: int
    """Of the request among all."""
    reply: ChatReply | CallError
    is_new: bool
    """Whether it was paid for just now: neither in the book nor asked for an equal request."""


class Caller:
    """Asks through the book: a request that was answered before costs nothing. Used from several threads at once."""

    def __init__(self, client: ChatClient, book: ReplyBook, config: EndpointConfig) -> None:
        self._client, self._book = client, book
        self._lock = threading.Lock()
        self._limit = RateLimit(config.requests_per_minute)
        self._config = config
        self.usage = Usage()

    def ask(self, request: ChatRequest) -> ChatReply:
        """The reply; raises CallError when there is none."""
        answered = self._answered(request)
        if isinstance(answered.reply, CallError):
            raise answered.reply
        return answered.reply

    def ask_all(self, requests: Sequence[ChatRequest], *, workers: int) -> Iterator[Answered]:
        """What came of each request, as it comes; equal requests are asked once."""
        positions: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            positions.setdefault(request.key, []).append(position)
        alike = list(positions.values())
        for number, answered in in_parallel(self._answered, [requests[first] for first, *_ in alike], workers=workers):
            for again, position in enumerate(alike[number]):
                yield answered._replace(position=position, is_new=answered.is_new and not again)

    def _answered(self, request: ChatRequest) -> Answered:
        known = self._book.get(request)
        try:
            reply, refusal = known or self._ask(request)
        except CallError as error:
            with self._lock:
                self.usage.failures[error.kind] += 1
            return Answered(0, error, is_new=True)
        cost = self._config.cost(reply.input_tokens, reply.output_tokens)
        with self._lock:
            self.usage.add(reply, old=known is not None, cost=cost or 0.0)
            if refusal is not None:
                self.usage.failures["model refused"] += 1
        final = reply if refusal is None else CallError("model refused", refusal, paid=reply)
        return Answered(0, final, is_new=known is None)

    def _ask(self, request: ChatRequest) -> tuple[ChatReply, str | None]:
        """The reply and, where the model refused, its reason, both written down; raises CallError."""
        self._limit.wait()
        with self._lock:
            budget = self._config.budget
            if budget is not None and self.usage.spent >= budget:
                raise CallError("over budget", f"the budget of {budget:g} is spent; raise endpoint.budget to go on")
            self.usage.asked += 1
        try:
            reply, refusal = self._client.complete(request), None
        except CallError as error:
            if error.paid is None:
                raise
            reply, refusal = error.paid, error.reason
        reply = replace(reply, received=datetime.now(UTC).isoformat(timespec="seconds"))
        self._book.add(request, reply, refusal)
        return reply, refusal


def in_parallel(work: Callable[[T], R], items: Sequence[T], *, workers: int) -> Iterator[tuple[int, R]]:
    """Yields (position, result) as results come; an exception of `work` stops the run after what is under way."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting = iter(enumerate(items))
        running: dict[Future[R], int] = {}
        try:
            while True:
                while len(running) < workers and (following := next(waiting, None)) is not None:
                    running[pool.submit(work, following[1])] = following[0]
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()
        finally:
            for future in running:
                future.cancel()
