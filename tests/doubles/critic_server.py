"""Critics that answer from the oracle of the simulated world, in the real protocols, at a set pace and with set faults.

`CriticServer` has so many slots, each reply holds one for `seconds`, and every fault costs a slot as a reply does. What
it sent whole is kept with its request, so that a test can say which paid replies a client lost.
"""

import contextlib
import json
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from doubles.llm_server import anthropic_reply, openai_reply
from spanwise.core import numpy_generator
from spanwise.llm.critics.config import CriticConfig
from spanwise.sim import HABITS, judge, make_items, write_answer

FAULTS = (
    "prose", "half JSON", "wrong quote", "wrong occurrence", "wrong category", "refusal", "cut off",
    "server error", "rate limit", "time-out", "half body", "hang up",
)  # fmt: skip
UNPAID = ("server error", "rate limit", "time-out", "half body", "hang up")
"""Faults that leave the client without a reply."""


def critic_config(address="http://127.0.0.1:1", provider="openai", **changes):
    """A critic at `address`."""
    path = "/v1" if provider == "openai" else ""
    endpoint = {
        "provider": provider, "model": "m", "base_url": f"{address}{path}", "retries": 0, "timeout_s": 5,
        "input_price": 1.0, "output_price": 10.0,
    }  # fmt: skip
    return CriticConfig.model_validate({"endpoint": endpoint | changes.pop("endpoint", {})} | changes)


def sim_answers(count, *, seed=0):
    """(item, answer) pairs of the simulated world; answers have the errors of its habits."""
    generator = numpy_generator(seed, "critic-server")
    return [(item, write_answer(item.truth, generator, HABITS)) for item in make_items(count, seed=seed, split="test")]


def truth_of(item, answer, severity="major"):
    """What the oracle says of an answer, as a critic's reply."""
    judgement = judge(answer, item.truth)
    marks = [
        {
            "quote": finding.span.of(answer), "occurrence": occurrence(answer, finding.span),
            "category": finding.label, "polarity": "negative", "severity": severity, "confidence": 0.9,
        }
        for finding in judgement.errors
    ]  # fmt: skip
    return {"critique": f"{len(marks)} errors.", "marks": marks, "omissions": []}


def occurrence(text, span):
    """Which occurrence of its quote a span is."""
    quote, start, number = span.of(text), -1, 0
    while start < span.start:
        start, number = text.find(quote, start + 1), number + 1
    return number


class CriticServer(ThreadingHTTPServer):
    """`reply_of(body)` gives the JSON object of a reply; `rates` how often each fault comes instead, by name."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, reply_of, *, rates=None, seconds=0.0, slots=64, hang_s=1.0, seed=0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply_of, self.rates, self.seconds, self.hang_s = reply_of, rates or {}, seconds, hang_s
        self.slots = threading.Semaphore(slots)
        self.lock = threading.Lock()
        self.random = random.Random(seed)
        self.asked, self.faults, self.busy_s = 0, Counter(), 0.0
        self.sent: list[tuple[str, str]] = []
        """(last message of the request, text) of every reply that went out whole."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self):
        """What goes wrong with the next request, if anything."""
        with self.lock:
            self.asked += 1
            drawn = self.random.random()
            for name, rate in self.rates.items():
                drawn -= rate
                if drawn < 0:
                    self.faults[name] += 1
                    return name
        return ""

    def handle_error(self, request, client_address):
        """Clients that were killed or gave up are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.fault()
        with self.server.slots:
            start = time.perf_counter()
            time.sleep(self.server.hang_s if fault == "time-out" else self.server.seconds)
            with self.server.lock:
                self.server.busy_s += time.perf_counter() - start
        self._answer(body, fault)

    def _answer(self, body, fault):
        anthropic = self.path.endswith("/messages")
        status, content = _wrap(spoiled(self.server.reply_of(body), fault), fault, anthropic=anthropic)
        data = json.dumps(content).encode()
        if fault in ("hang up", "time-out"):
            self.close_connection = True
            return
        if fault == "half body":
            data = data[: len(data) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "0.05")
        self.end_headers()
        self.wfile.write(data)
        if fault not in UNPAID:
            with self.server.lock:
                self.server.sent.append((body["messages"][-1]["content"], _text_of(content, anthropic=anthropic)))

    def log_message(self, *words):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):  # the client gave up waiting, or was killed
            self.close_connection = True


def spoiled(reply, fault):
    """The text of a reply with what its fault makes of it."""
    mark = {"occurrence": 1, "category": "Irrelevant", "polarity": "negative", "severity": "major", "confidence": 0.5}
    if fault == "wrong quote":
        reply = reply | {"marks": [*reply["marks"], mark | {"quote": "no such words stand there"}]}
    if fault == "wrong occurrence":
        reply = reply | {"marks": [*reply["marks"], mark | {"quote": ".", "occurrence": 1000}]}
    if fault == "wrong category":
        reply = reply | {"marks": [*reply["marks"], mark | {"quote": ".", "category": "Dull"}]}
    text = json.dumps(reply)
    return {"prose": "The answer is mostly fine.", "half JSON": text[: len(text) // 2]}.get(fault, text)


def _wrap(text, fault, *, anthropic):
    if fault in ("server error", "rate limit"):
        return (500 if fault == "server error" else 429), {"error": {"type": "x", "message": fault}}
    if anthropic:
        return anthropic_reply(text, stop={"refusal": "refusal", "cut off": "max_tokens"}.get(fault, "end_turn"))
    refusal = "I will not" if fault == "refusal" else None
    return openai_reply(text, refusal=refusal, finish="length" if fault == "cut off" else "stop")


def _text_of(content, *, anthropic):
    return content["content"][0]["text"] if anthropic else content["choices"][0]["message"]["content"]


@contextlib.contextmanager
def criticising(reply_of, **settings):
    """A running CriticServer; stopped behind the block."""
    server = CriticServer(reply_of, **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
