"""A scorer behind HTTP that speaks the protocol of the Perspective API: one text per request, one score per reply.

Calls are spaced and spread by the code that serves language models (`llm/calls.py`), tried again where that can help,
and what still fails is Unscored with its reason. Google shuts its own service down on 31 December 2026; the protocol
stays of use for servers of one's own. A service may change its scores without a word: keep what it said.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from spanwise.core import Config
from spanwise.feedback import Unscored
from spanwise.llm import CallError, FailureKind, RateLimit, Vendor, in_parallel, key_for
from spanwise.rewards.scorers.scorer import Probability, checked

GOOGLE = Vendor("https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze", "PERSPECTIVE_API_KEY")
_WORTH_ANOTHER_TRY: tuple[FailureKind, ...] = ("time-out", "connection", "rate limit", "server error")


class PerspectiveConfig(Config):
    """Where a Perspective-compatible service is, and how fast it may be asked."""

    url: str = GOOGLE.address
    """Address that requests are posted to."""
    attribute: str = "TOXICITY"
    """The attribute to ask for."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the texts; without any the service guesses."""
    api_key_env: str | None = None
    """Environment variable with the key; null is PERSPECTIVE_API_KEY for Google's service, and no key for another."""
    requests_per_minute: float | None = Field(default=60.0, gt=0)
    """Most requests begun per minute; null sets no limit."""
    concurrency: int = Field(default=4, ge=1)
    """Requests under way at a time."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Seconds after which a request is given up."""
    retries: int = Field(default=4, ge=0)
    """How often a request is tried again after time-outs, refused connections, rate limits and server errors."""
    pause_s: float = Field(default=1.0, ge=0)
    """Pause before the first retry; it doubles each time, and a longer one that the service asks for is kept."""
    max_bytes: int = Field(default=3000, ge=1)
    """Longest text in bytes of UTF-8; a longer one is not sent and unscored."""


class PerspectiveScorer:
    """Asks a service for one attribute; equal texts of one call are asked once."""

    def __init__(self, config: PerspectiveConfig) -> None:
        self._config = config
        self._key = key_for(GOOGLE, config.url, config.api_key_env)
        self._limit = RateLimit(config.requests_per_minute)
        self._lock = threading.Lock()
        self.failures: Counter[str] = Counter()
        """How many texts were left without a score, by kind of failure."""

    @property
    def version(self) -> str:
        """Address and attribute: the service tells no version."""
        return f"perspective-{self._config.attribute}-{self._config.url}"

    def score(self, texts: Sequence[str]) -> list[Probability]:
        """One probability per text."""
        distinct = list(dict.fromkeys(texts))
        by_text: dict[str, Probability] = {}
        for index, value in in_parallel(self._one, distinct, workers=self._config.concurrency):
            by_text[distinct[index]] = value
        return [by_text[text] for text in texts]

    def _one(self, text: str) -> Probability:
        size = len(text.encode("utf-8", errors="surrogatepass"))
        if size > self._config.max_bytes:
            return self._failed("too long", f"the text has {size} bytes, the service takes {self._config.max_bytes}")
        if not text.strip():
            return self._failed("blank", "the text is blank")
        try:
            return checked(self._value(self._answered(text)), source="the service")
        except CallError as error:
            return self._failed(error.kind, error.reason)

    def _answered(self, text: str) -> bytes:
        """The body of the reply, after as many tries as allowed; raises CallError."""
        pause = self._config.pause_s
        for left in range(self._config.retries, -1, -1):
            self._limit.wait()
            try:
                return self._post(text)
            except _RefusedError as refused:
                if not left or refused.error.kind not in _WORTH_ANOTHER_TRY:
                    raise refused.error from refused
                time.sleep(max(pause, refused.wait_s))
                pause *= 2
        raise AssertionError("the last try returns or raises")

    def _post(self, text: str) -> bytes:
        body: dict[str, Any] = {
            "comment": {"text": text},
            "requestedAttributes": {self._config.attribute: {}},
            "doNotStore": True,
            **({"languages": list(self._config.languages)} if self._config.languages else {}),
        }
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._config.url, json.dumps(body).encode(), headers, method="POST")
        if self._key is not None:  # not to where the service may redirect
            request.add_unredirected_header("X-Goog-Api-Key", self._key)
        try:
            with urllib.request.urlopen(request, timeout=self._config.timeout_s) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _RefusedError(_status(error.code), _asked_wait(error.headers.get("Retry-After"))) from error
        except (TimeoutError, urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(error, TimeoutError) or isinstance(reason, TimeoutError)
            kind: FailureKind = "time-out" if late else "connection"
            raise _RefusedError(CallError(kind, f"{kind} ({type(reason).__name__})")) from error

    def _value(self, body: bytes) -> float:
        try:
            scores = json.loads(body)["attributeScores"][self._config.attribute]
            value = scores["summaryScore"]["value"]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise CallError("malformed reply", f"the reply holds no score ({type(error).__name__})") from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CallError("malformed reply", f"the score in the reply is {value!r:.40}")
        return float(value)

    def _failed(self, kind: str, reason: str) -> Unscored:
        with self._lock:
            self.failures[kind] += 1
        return Unscored(reason)


class _RefusedError(Exception):
    """A try that gave no reply, and how long the service asks to wait."""

    def __init__(self, error: CallError, wait_s: float = 0.0) -> None:
        super().__init__(error.reason)
        self.error = error
        self.wait_s = wait_s


def _status(code: int) -> CallError:
    kind: FailureKind = "rate limit" if code == 429 else "server error" if code >= 500 else "rejected"
    return CallError(kind, f"the service answered {code} ({kind})")


def _asked_wait(header: str | None) -> float:
    """Seconds of a Retry-After; a date or nonsense asks for nothing, and nobody waits longer than a minute."""
    try:
        return max(0.0, min(60.0, float(header or 0)))
    except ValueError:
        return 0.0
