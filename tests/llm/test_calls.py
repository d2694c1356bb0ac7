import threading
import time

import pytest

from spanwise.core.errors import DataError
from spanwise.llm.calls import Caller, in_parallel
from spanwise.llm.chat import CallError, ChatReply, ChatRequest
from spanwise.llm.config import EndpointConfig
from spanwise.llm.replies import ReplyBook

CONFIG = EndpointConfig(provider="openai", model="m")


class Scripted:
    """Says the last message back, or raises what it is given."""

    def __init__(self, error=None):
        self.error, self.calls = error, 0

    def complete(self, request):
        self.calls += 1
        if self.error:
            raise self.error
        return ChatReply(request.messages[-1][1], "stop", "m-1", 3, 2, "id")


def asked(text):
    return ChatRequest("m", "", (("user", text),), 9)


def test_a_reply_is_paid_once_even_in_another_run(tmp_path):
    client = Scripted()
    first = Caller(client, ReplyBook(tmp_path / "book.jsonl"), CONFIG)
    assert [first.ask(asked("a")).text, first.ask(asked("a")).text, first.ask(asked("b")).text] == ["a", "a", "b"]
    second = Caller(client, ReplyBook(tmp_path / "book.jsonl"), CONFIG)
    assert second.ask(asked("b")).text == "b"
    assert (client.calls, first.usage.asked, first.usage.from_book, second.usage.asked) == (2, 2, 1, 0)
    assert (second.usage.input_tokens, second.usage.output_tokens) == (3, 2)


def test_refusals_are_kept_and_failures_are_tried_again(tmp_path):
    paid = ChatReply("no", "stop", "m-1", 3, 1)
    book = ReplyBook(tmp_path / "book.jsonl")
    refusing = Scripted(CallError("model refused", "no", paid=paid))
    for _ in range(2):
        caller = Caller(refusing, ReplyBook(book.path), CONFIG)
        with pytest.raises(CallError, match="no") as caught:
            caller.ask(asked("a"))
        assert (caught.value.kind, caught.value.paid.input_tokens, caller.usage.failures) == (
            "model refused",
            3,
            {"model refused": 1},
        )
    failing = Scripted(CallError("time-out", "slow"))
    for _ in range(2):
        with pytest.raises(CallError, match="slow"):
            Caller(failing, book, CONFIG).ask(asked("b"))
    assert (refusing.calls, failing.calls, len(ReplyBook(book.path))) == (1, 2, 1)


def test_a_line_torn_by_a_kill_costs_that_reply_alone(tmp_path):
    path = tmp_path / "book.jsonl"
    caller = Caller(Scripted(), ReplyBook(path), CONFIG)
    for text in ("a", "b\U0001f600"):
        caller.ask(asked(text))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    again = Caller(Scripted(), ReplyBook(path), CONFIG)
    assert again.ask(asked("b\U0001f600")).text == "b\U0001f600"
    assert (again.usage.asked, len(ReplyBook(path))) == (1, 2)
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(DataError, match=r"book\.jsonl:1: is no reply"):
        ReplyBook(path)


def test_calls_keep_their_distance(tmp_path):
    caller = Caller(Scripted(), ReplyBook(tmp_path / "book"), CONFIG.model_copy(update={"requests_per_minute": 1200}))
    start = time.monotonic()
    for text in "abc":
        caller.ask(asked(text))
    assert time.monotonic() - start >= 0.1  # two pauses of a twentieth of a second


def test_work_is_done_side_by_side_and_every_result_has_its_place():
    lock, under_way, most = threading.Lock(), 0, 0

    def work(item):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return item * 2

    assert dict(in_parallel(work, range(10), workers=3)) == {k: 2 * k for k in range(10)}
    assert most == 3


def test_prices_make_costs():
    priced = EndpointConfig(provider="openai", model="m", input_price=2, output_price=10)
    assert priced.cost(500_000, 100_000) == pytest.approx(2.0)
    assert CONFIG.cost(1, 1) is None
    with pytest.raises(ValueError, match="belong together"):
        EndpointConfig(provider="openai", model="m", input_price=2)
