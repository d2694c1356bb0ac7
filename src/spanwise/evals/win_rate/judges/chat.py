"""A language model as the judge: a prompt for the one chat client, and verdicts read from what it says.

Prose, nonsense and silence are Unscored, never a tie. What could not be asked is Unscored and asked again
by the next run; a key, model or address that the service refuses stops the run, for every pair would fail.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template

from spanwise.core import ConfigError, read_text
from spanwise.evals.statistics import Share
from spanwise.evals.win_rate.judges.base import Case, Reply, Usage
from spanwise.evals.win_rate.judges.config import JudgeConfig, Method
from spanwise.feedback import Unscored
from spanwise.llm import Caller, CallError, ChatClient, ChatReply, ChatRequest, ReplyBook, make_client

LABELS = ("m", "M")
"""The letters of the label prompt: first better, second better."""
_PLACES = {"instruction", "first", "second"}
_VERDICT = re.compile(r"^\W*verdict\W*:\W*(a|b|tie)\W*$", re.IGNORECASE | re.MULTILINE)
_SHARES = {"a": 0.0, "b": 1.0, "tie": 0.5}


class ChatJudge:
    """Asks through a book of replies, which is in memory alone where the config names no `cache`."""

    sees_order = True

    def __init__(self, config: JudgeConfig, *, client: ChatClient | None = None) -> None:
        """`client` stands in for the configured endpoint."""
        self._config, self._endpoint = config, config.endpoint
        self._by_label = config.asked_method == "label"
        self._prompt = _load_prompt(config.asked_method, config.prompt_file)
        self.name = self._endpoint.model
        client = client or make_client(self._endpoint, choices_only=self._by_label)
        self._caller = Caller(client, ReplyBook(config.cache), self._endpoint)

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Asks for each case; replies come as they are ready, those of the book for nothing."""
        requests = [self.request(case) for case in cases]
        for answered in self._caller.ask_all(requests, workers=self._endpoint.concurrency):
            yield answered.position, self._read(answered.reply, is_new=answered.is_new)

    def request(self, case: Case) -> ChatRequest:
        """What is asked about one case; the texts are put in as they are, dollar signs included."""
        text = self._prompt.substitute(instruction=case.instruction, first=case.first, second=case.second)
        endpoint = self._endpoint
        return ChatRequest(
            model=endpoint.model,
            system="",
            messages=(("user", text),),
            max_tokens=1 if self._by_label else endpoint.max_new_tokens,
            temperature=None if endpoint.provider == "anthropic" else endpoint.temperature,
            seed=endpoint.seed,
            choices=LABELS if self._by_label else (),
        )

    def _read(self, reply: ChatReply | CallError, *, is_new: bool) -> Reply:
        if isinstance(reply, CallError):
            if reply.kind == "no access":
                raise ConfigError(f"The judge {self.name!r} refuses ({reply.reason}); check key, model and address.")
            if reply.paid is None:
                return Reply(Unscored(f"the judge could not be asked ({reply.kind})"))
            reply = reply.paid
        cost = self._endpoint.cost(reply.input_tokens, reply.output_tokens) or 0.0
        usage = Usage(1, reply.input_tokens, reply.output_tokens, cost) if is_new else Usage()
        return Reply(self._share(reply), reply.text, usage)

    def _share(self, reply: ChatReply) -> Share:
        if not self._by_label:
            return share_of_text(reply.text)
        return share_of_label(reply.text) if reply.logprobs is None else share_of_logprobs(reply.logprobs)


def _load_prompt(method: Method, path: Path | None) -> Template:
    """The package's prompt or the user's, a text with $instruction, $first and $second."""
    packaged = resources.files("spanwise.evals.win_rate.judges").joinpath("prompts", f"{method}.txt")
    template = Template(packaged.read_text("utf-8") if path is None else read_text(path))
    if not template.is_valid() or set(template.get_identifiers()) != _PLACES:
        raise ConfigError(f"{path}: a judge's prompt names $instruction, $first and $second once or more each.")
    return template


def share_of_text(text: str | None) -> Share:
    """The share that the last lines of the form "Verdict: A" say; two that differ are none."""
    if not text or not text.strip():
        return Unscored("the judge said nothing")
    shares = {_SHARES[word.lower()] for word in _VERDICT.findall(text)}
    if len(shares) != 1:
        return Unscored("the judge gave two verdicts" if shares else "the judge gave no verdict")
    return shares.pop()


def share_of_label(text: str | None) -> Share:
    """The share that a reply of one letter says."""
    label = (text or "").strip()
    return float(LABELS.index(label)) if label in LABELS else Unscored("the judge gave no verdict")


def share_of_logprobs(logprobs: Mapping[str, float]) -> Share:
    """P(second) / (P(first) + P(second)) of the letters; one that is not listed has probability 0 (AlpacaEval)."""
    first, second = (math.exp(logprobs[label]) if label in logprobs else 0.0 for label in LABELS)
    total = first + second
    return second / total if total > 0 and math.isfinite(total) else Unscored("neither letter was likely")
