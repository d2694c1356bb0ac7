"""Asks a critic about many answers at once, equal ones once, and counts what became of them.

An answer that the critic did not judge is an `Unusable` with its reason, never an answer without errors. Knows nothing
of files or of rewards.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spanwise.core import ConfigError
from spanwise.llm.answers import Unusable, Usable, ask_until_usable
from spanwise.llm.calls import Caller, in_parallel
from spanwise.llm.chat import ChatClient
from spanwise.llm.clients import make_client
from spanwise.llm.critics.config import CriticConfig
from spanwise.llm.critics.prompting import Asks, Criticised, CriticPrompt
from spanwise.llm.critics.reading import Critique, read_critique
from spanwise.llm.replies import ReplyBook
from spanwise.text import text_hash

Judged = Usable[Critique] | Unusable


@dataclass
class CriticCounts:
    """What became of the answers that a critic was asked about."""

    answers: int = 0
    marks: int = 0
    clean: int = 0
    """Answers in which the critic found nothing."""
    retried: int = 0
    """Answers about which it was asked again."""
    not_found: int = 0
    """Replies with a quote that the answer, or its sources, do not hold."""
    unscored: Counter[str] = field(default_factory=Counter[str])
    """Answers that it did not judge, by reason."""

    def add(self, judged: Judged) -> None:
        """Counts one answer."""
        self.answers += 1
        self.retried += judged.asked > 1
        self.not_found += judged.faults.count("text not found")
        if isinstance(judged, Unusable):
            self.unscored[judged.reason] += 1
            return
        self.marks += len(judged.value.marks)
        self.clean += not (judged.value.marks or judged.value.omissions)


class Critic:
    """A language model that marks spans. `client` stands in for the configured endpoint; ConfigError without one.

    `forgets` is for a client that says something else tomorrow: its replies are kept for one call alone.
    """

    def __init__(
        self,
        config: CriticConfig,
        *,
        asks: Asks = "critique",
        client: ChatClient | None = None,
        forgets: bool = False,
    ) -> None:
        self.config = config
        self.prompt = CriticPrompt.of(config, asks)
        self.counts = CriticCounts()
        self._client = client or make_client(config.endpoint)
        self._forgets = forgets
        self.caller = Caller(self._client, ReplyBook(config.cache), config.endpoint)

    @property
    def version(self) -> str:
        """Changes with the model, with what it is asked, and with its settings; not with its address."""
        told = self.config.model_dump_json(exclude={"cache": True, "prompt_file": True, "endpoint": _CALLS})
        return f"critic-{self.config.endpoint.model}-{text_hash(told + self.prompt.file.sha256)[:12]}"

    def judge(self, answers: Sequence[Criticised]) -> Iterator[tuple[int, Judged]]:
        """What the critic says of each answer, as it comes; ConfigError where the endpoint refuses every call."""
        if self._forgets:
            self.caller = Caller(self._client, ReplyBook(None), self.config.endpoint)
        positions: dict[str, list[int]] = {}
        for position, answer in enumerate(answers):
            positions.setdefault(self.prompt.request(answer).key, []).append(position)
        alike = list(positions.values())
        first_ones = [answers[first] for first, *_ in alike]
        for number, judged in in_parallel(self._judged, first_ones, workers=self.config.endpoint.concurrency):
            for position in alike[number]:
                self.counts.add(judged)
                yield position, judged

    def _judged(self, answer: Criticised) -> Judged:
        judged = ask_until_usable(
            self.caller,
            lambda turns: self.prompt.request(answer, turns),
            lambda reply: read_critique(reply, answer, self.config),
            attempts=self.config.attempts,
        )
        if isinstance(judged, Unusable) and judged.reason == "no access":
            model = self.config.endpoint.model
            raise ConfigError(f"The critic {model!r} refuses ({judged.detail}); check key, model and address.")
        return judged


_CALLS = {
    "base_url", "api_key_env", "timeout_s", "retries", "concurrency", "requests_per_minute", "input_price",
    "output_price", "budget", "device",
}  # fmt: skip
"""Settings of an endpoint that do not change what a model says."""
