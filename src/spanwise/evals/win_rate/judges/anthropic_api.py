"""A judge behind Anthropic's API, by the vendor's client, with the manners of `openai_api.py`."""

from collections.abc import Iterator, Sequence
from functools import partial

import anthropic

from spanwise.core import ConfigError
from spanwise.evals.win_rate.judges.base import Case, Reply, Usage, fingerprint
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.evals.win_rate.judges.prompt import JudgePrompt
from spanwise.evals.win_rate.judges.verdicts import share_of_text
from spanwise.feedback import Unscored
from spanwise.llm import ANTHROPIC, RateLimit, anthropic_client, in_parallel, key_for

HOPELESS = (anthropic.AuthenticationError, anthropic.PermissionDeniedError, anthropic.NotFoundError)


class AnthropicJudge:
    """Messages, read as a verdict in words."""

    sees_order = True

    def __init__(self, config: JudgeConfig) -> None:
        self._config, self._prompt = config, JudgePrompt(config.method, config.prompt)
        self.name = config.model
        self.version = fingerprint("anthropic", config.model, config.base_url, config.max_tokens, self._prompt.version)
        key_for(ANTHROPIC, config.base_url, config.api_key_env)  # refused now, not at the first question

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Asks for each case; replies come as they are ready."""
        limit = RateLimit(self._config.requests_per_minute)
        with anthropic_client(
            self._config.base_url,
            self._config.api_key_env,
            timeout_s=self._config.timeout,
            retries=self._config.retries,
        ) as client:
            ask = partial(self._ask, client, limit)
            yield from in_parallel(ask, cases, workers=self._config.concurrency)

    def _ask(self, client: anthropic.Anthropic, limit: RateLimit, case: Case) -> Reply:
        limit.wait()
        try:
            found = client.messages.create(
                model=self._config.model,
                messages=[{"role": "user", "content": self._prompt.render(case)}],
                max_tokens=self._config.max_tokens,
            )
        except HOPELESS as error:
            raise ConfigError(
                f"The judge {self.name!r} refuses ({type(error).__name__}); check key, model and address."
            ) from error
        except (anthropic.APIError, ValueError) as error:  # ValueError: a body that is no JSON
            return Reply(Unscored(f"the judge could not be asked ({type(error).__name__})"), lasting=False)
        return self._read(found)

    def _read(self, found: object) -> Reply:
        """The reply in a message; a service may leave out anything, so nothing is taken for granted."""
        blocks = getattr(found, "content", None)
        if not isinstance(blocks, list):
            return Reply(Unscored("the judge's reply has no content"), lasting=False)
        words = "".join(str(getattr(block, "text", "") or "") for block in blocks)
        usage = getattr(found, "usage", None)
        read, wrote = (int(getattr(usage, key, 0) or 0) for key in ("input_tokens", "output_tokens"))
        return Reply(share_of_text(words), words, Usage(1, read, wrote, self._config.cost(read, wrote)))
