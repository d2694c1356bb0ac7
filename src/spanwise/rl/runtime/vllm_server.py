"""The protocol of a `vllm serve` process: how it tells log-probabilities, new weights, and completions over HTTP.

Every reply is checked for what would bias the learning from it without a sign: another prompt than the one that was
sent, an end that the policy does not know, log-probabilities of something else than what was drawn. Endpoints as in
vLLM's documentation of its OpenAI-compatible server and, for developers' mode, of reload_weights. Knows nothing of
policies and tensors.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from spanwise.core import ConfigError, TrainingError
from spanwise.models import Sampling
from spanwise.rl.config import ServerConfig

FIRST_PAUSE_S = 1.0
"""Pause before the first repetition of a request; it doubles from one to the next."""
_TRIED_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_CLAMPED = -9998.0  # vLLM tells log 0 as -9999, which no drawn token can have
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Request:
    """`samples` completions of one prompt. `salt` parts what the server may reuse from other requests."""

    prompt: Sequence[int]
    samples: int
    sampling: Sampling
    seed: int
    end_ids: Sequence[int]
    salt: str


@dataclass(frozen=True)
class Completion:
    """Sampled ids with the log-probability each was drawn with; `truncated` where the limit came before an end."""

    token_ids: list[int]
    logprobs: list[float]
    truncated: bool


class VllmServer:
    """The server at `config.base_url`.

    Raises ConfigError for what it refuses or is not fit for, TrainingError when it does not answer.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._url = config.base_url.rstrip("/").removesuffix("/v1")
        self._model = ""

    def check(self, sampling: Sampling) -> None:
        """Waits until the server is there; ConfigError unless it tells the log-probabilities of what it draws from."""
        try:
            info = json.loads(self._ask("/server_info?config_format=json", wait=True))
            mode = str(info["vllm_config"]["model_config"]["logprobs_mode"])
            self._model = str(json.loads(self._ask("/v1/models"))["data"][0]["id"])
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(
                f"{self._url}: does not say its settings as vLLM does ({error!r}); update vLLM."
            ) from error
        fit = mode == "processed_logprobs" or (mode == "raw_logprobs" and sampling.temperature == 1)
        if not fit:
            raise ConfigError(
                f"{self._url}: tells {mode}, not log-probabilities at sampling.temperature={sampling.temperature}, "
                "which would bias the gradient; start it with --logprobs-mode processed_logprobs."
            )

    def load_weights(self, folder: Path) -> None:
        """Has the server read its weights anew from a checkpoint folder that it sees under the same path."""
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._ask("/collective_rpc", body)

    def complete(self, request: Request) -> list[Completion]:
        """Samples; whatever the server's own defaults are, nothing but the temperature shapes the distribution."""
        body = {
            "model": self._model,
            "prompt": list(request.prompt),
            "n": request.samples,
            "seed": request.seed,
            "max_tokens": request.sampling.max_new_tokens,
            "min_tokens": request.sampling.min_new_tokens,
            "temperature": request.sampling.temperature,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": list(request.end_ids),
            "logprobs": 0,
            "return_token_ids": True,
            "cache_salt": request.salt,
        }
        try:
            reply = _Reply.model_validate_json(self._ask("/v1/completions", body))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "its reply"
            raise ConfigError(
                f"{self._url}: {field} is not what vLLM 0.10.2 or newer replies ({first['msg']}); update the server."
            ) from error
        if len(reply.choices) != request.samples:
            raise ConfigError(f"{self._url}: gave {len(reply.choices)} completions, not {request.samples}.")
        for choice in reply.choices:
            wrong = choice.unlike(request)
            if wrong is not None:
                raise ConfigError(f"{self._url}: {wrong}.")
        return [choice.completion() for choice in reply.choices]

    def _ask(self, path: str, body: dict[str, Any] | None = None, *, wait: bool = False) -> bytes:
        """The reply's body. A server that is not there is waited for only with `wait`."""
        pause, reason = FIRST_PAUSE_S, ""
        for attempt in range(self._config.retries + 1):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                return self._sent(path, body)
            except urllib.error.HTTPError as error:
                reason = f"status {error.code}: {_told(error)}"
                if error.code not in _TRIED_AGAIN:
                    raise ConfigError(f"{self._url}{path}: refused ({reason}){_remedy(path, error.code)}.") from error
            except (OSError, http.client.HTTPException) as error:
                reason = _cause(error)
                if isinstance(getattr(error, "reason", error), ConnectionRefusedError) and not wait:
                    # One that was started anew would sample with the weights it was started with.
                    break
        raise TrainingError(
            f"{self._url}{path}: no answer ({reason}). The training states before this step are intact; see to the "
            "server, or raise rollout.server.timeout_s, and start again."
        )

    def _sent(self, path: str, body: dict[str, Any] | None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"})
        if os.environ.get("VLLM_API_KEY"):  # for this server, not for where it may redirect
            request.add_unredirected_header("Authorization", f"Bearer {os.environ['VLLM_API_KEY']}")
        with urllib.request.urlopen(request, timeout=self._config.timeout_s) as reply:
            return reply.read()


class _Logprobs(BaseModel):
    token_logprobs: list[float]


class _Choice(BaseModel):
    prompt_token_ids: list[int]
    token_ids: list[int]
    logprobs: _Logprobs
    finish_reason: str

    def unlike(self, request: Request) -> str | None:
        """What is wrong with it as an answer to `request`."""
        logprobs = self.logprobs.token_logprobs
        if self.prompt_token_ids != list(request.prompt):
            return "read another prompt than was sent; start it without settings that shorten or extend prompts"
        if len(logprobs) != len(self.token_ids) or not logprobs:
            return f"gave {len(logprobs)} log-probabilities for {len(self.token_ids)} tokens"
        if not all(_CLAMPED < value < _ROUNDING for value in logprobs):
            return f"told the log-probabilities {min(logprobs)} to {max(logprobs)}, which no drawn tokens have"
        return self._wrong_end(request)

    def _wrong_end(self, request: Request) -> str | None:
        limit, length = request.sampling.max_new_tokens, len(self.token_ids)
        if self.finish_reason == "stop" and self.token_ids[-1] not in request.end_ids:
            return f"ended an answer at token {self.token_ids[-1]}, which is no end to the policy; serve the same model"
        if self.finish_reason == "length" and length != limit:
            return f"cut an answer at {length} tokens, not {limit}; raise its --max-model-len"
        if self.finish_reason not in ("stop", "length"):
            return f"ended an answer by {self.finish_reason!r}; let nobody else pause or stop it"
        return None

    def completion(self) -> Completion:
        return Completion(self.token_ids, self.logprobs.token_logprobs, self.finish_reason == "length")


class _Reply(BaseModel):
    choices: list[_Choice]


def _told(error: urllib.error.HTTPError) -> str:
    """What the server says of an error: in OpenAI's form, FastAPI's, its own, or no JSON at all."""
    try:
        text = error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return "no reason given"
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    if isinstance(body, dict):
        body = body.get("error", body.get("detail", body))
    if isinstance(body, dict):
        body = body.get("message", body)
    return " ".join(str(body).split())[:300] or "no reason given"


def _remedy(path: str, status: int) -> str:
    if status == 404 and not path.startswith("/v1/"):
        return "; start it with VLLM_SERVER_DEV_MODE=1, which its weights cannot be renewed without"
    if status in (401, 403):
        return "; set VLLM_API_KEY to its key"
    return ""


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return "time-out" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
