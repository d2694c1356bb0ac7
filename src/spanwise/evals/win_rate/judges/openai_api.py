"""A judge behind an OpenAI-compatible endpoint (OpenAI itself, vLLM, llama.cpp, ...), by the vendor's client.

The client sends failed requests again with growing pauses and heeds Retry-After. What fails for good is Unscored;
a key or model that the service does not know stops the run, for every pair would fail.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import openai

from spanwise.core import ConfigError
from spanwise.evals.statistics import Share
from spanwise.evals.win_rate.judges.base import Case, Reply, Usage, fingerprint
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.evals.win_rate.judges.prompt import JudgePrompt
from spanwise.evals.win_rate.judges.verdicts import LABELS, share_of_label, share_of_logprobs, share_of_text
from spanwise.feedback import Unscored
from spanwise.llm import OPENAI, RateLimit, in_parallel, key_for, openai_client

TOP_LOGPROBS = 5
HOPELESS = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)


class OpenAIJudge:
    """Chat completions, read as a verdict in words or as the probabilities of one letter."""

    sees_order = True

    def __init__(self, config: JudgeConfig) -> None:
        self._config, self._prompt = config, JudgePrompt(config.method, config.prompt)
        self.name = config.model
        self.version = fingerprint(
            "openai", config.model, config.base_url, config.method, config.temperature, config.max_tokens,
            self._prompt.version,
        )  # fmt: skip
        key_for(OPENAI, config.base_url, config.api_key_env)  # refused now, not at the first question

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Asks for each case; replies come as they are ready."""
        limit = RateLimit(self._config.requests_per_minute)
        with openai_client(
            self._config.base_url,
            self._config.api_key_env,
            timeout_s=self._config.timeout,
            retries=self._config.retries,
        ) as client:
            ask = partial(self._ask, client, limit)
            yield from in_parallel(ask, cases, workers=self._config.concurrency)

    def _ask(self, client: openai.OpenAI, limit: RateLimit, case: Case) -> Reply:
        limit.wait()
        label = self._config.method == "label"
        try:
            found = client.chat.completions.create(
                model=self._config.model,
                messages=[{"role": "user", "content": self._prompt.render(case)}],
                temperature=self._config.temperature,
                max_tokens=1 if label else self._config.max_tokens,
                logprobs=True if label else openai.omit,
                top_logprobs=TOP_LOGPROBS if label else openai.omit,
            )
        except HOPELESS as error:
            raise ConfigError(
                f"The judge {self.name!r} refuses ({type(error).__name__}); check key, model and address."
            ) from error
        except (openai.APIError, ValueError) as error:  # ValueError: a body that is no JSON
            return Reply(Unscored(f"the judge could not be asked ({type(error).__name__})"), lasting=False)
        return self._read(found)

    def _read(self, found: object) -> Reply:
        """The reply in a completion; a service may leave out anything, so nothing is taken for granted."""
        choices = getattr(found, "choices", None)
        if not choices:
            return Reply(Unscored("the judge's reply has no choices"), lasting=False)
        text = getattr(getattr(choices[0], "message", None), "content", None)
        usage = getattr(found, "usage", None)
        read, wrote = (int(getattr(usage, key, 0) or 0) for key in ("prompt_tokens", "completion_tokens"))
        spent = Usage(1, read, wrote, self._config.cost(read, wrote))
        words = text if isinstance(text, str) else ""
        return Reply(self._share(choices[0], words), words, spent)

    def _share(self, choice: object, text: str) -> Share:
        if self._config.method == "verdict":
            return share_of_text(text)
        listed = getattr(getattr(choice, "logprobs", None), "content", None)
        if not listed:
            return share_of_label(text)
        top = {entry.token.strip(): entry.logprob for entry in reversed(listed[0].top_logprobs)}
        return share_of_logprobs({label: top[label] for label in LABELS if label in top})
