"""How likely a language model finds answers: perplexity under a model other than the one that wrote them.

The perplexity of an answer is exp of its mean negative log-likelihood per token behind its prompt, the end token left
out. It depends on the model and its tokenizer: only numbers of the same model compare. Needs torch; `metrics.py` does
not, and knows only the function that is made here.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from spanwise.evals.metrics.rouge import AnswerText, Score
from spanwise.evals.statistics import MetricInfo, ScoreTable
from spanwise.feedback import PromptRecord, Unscored
from spanwise.models import Policy, Sampling, pad

Likelihood = tuple[float, int] | Unscored
"""Negative log-likelihood in nats and how many tokens it is summed over."""

PERPLEXITY = MetricInfo(
    label="Perplexity", better="lower", digits=1, description="Per answer, exp of the mean nats per token."
)
NATS = MetricInfo(label="Nats per token", unit="nats", better="lower", description="Micro-averaged over all tokens.")


class PerplexityMetric:
    """Perplexity as a metric of `evaluate`."""

    infos: Mapping[str, MetricInfo] = {"perplexity": PERPLEXITY, "nats": NATS}

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def tables(self, answers: Sequence[AnswerText], prompts: Sequence[PromptRecord]) -> dict[str, ScoreTable]:
        """Tables of perplexity and of nats per token."""
        values = likelihoods(self._policy, prompts, [answer.response for answer in answers])
        return perplexity_scores([answer.id for answer in answers], values)


def likelihoods(
    policy: Policy, prompts: Sequence[str | PromptRecord], responses: Sequence[str], *, batch_size: int = 16
) -> list[Likelihood]:
    """The negative log-likelihood of each response behind its prompt; Unscored where it is empty or too long."""
    rows = [(policy.encode_prompt(prompt), policy.encode_response(text)[:-1] if text.strip() else [])
            for prompt, text in zip(prompts, responses, strict=True)]  # fmt: skip
    values: list[Likelihood] = [_problem(policy, *row) or (0.0, 0) for row in rows]
    fitting = sorted(
        (index for index, value in enumerate(values) if not isinstance(value, Unscored)),
        key=lambda index: sum(map(len, rows[index])),
    )
    for start in range(0, len(fitting), batch_size):
        places = fitting[start : start + batch_size]
        for index, total in zip(places, _totals(policy, [rows[index] for index in places]), strict=True):
            values[index] = (total, len(rows[index][1]))
    return values


def perplexity(likelihood: Likelihood) -> Score:
    """The perplexity of one answer."""
    if isinstance(likelihood, Unscored):
        return likelihood
    nats = likelihood[0] / likelihood[1]
    return math.exp(nats) if nats < 700 else Unscored("too unlikely for a number")


def perplexity_scores(ids: Sequence[str], found: Sequence[Likelihood]) -> dict[str, ScoreTable]:
    """Mean perplexity per answer, and nats per token over all of them; samples of one prompt are averaged."""
    per_answer: dict[str, list[float]] = {key: [] for key in ids}
    totals: dict[str, tuple[float, float] | None] = dict.fromkeys(ids)
    for key, likelihood in zip(ids, found, strict=True):
        value = perplexity(likelihood)
        if isinstance(likelihood, Unscored) or isinstance(value, Unscored):
            continue
        before = totals[key] or (0.0, 0.0)
        totals[key] = (before[0] + likelihood[0], before[1] + likelihood[1])
        per_answer[key].append(value)
    means = {
        key: (sum(perplexities), float(len(perplexities))) if perplexities else None
        for key, perplexities in per_answer.items()
    }
    return {"perplexity": ScoreTable.from_ratios(means), "nats": ScoreTable.from_ratios(totals)}


def _problem(policy: Policy, prompt: list[int], response: list[int]) -> Unscored | None:
    if not response:
        return Unscored("empty answer")
    room = policy.room_for_prompt(len(response))
    return None if room is None or len(prompt) <= room else Unscored("longer than the model's window")


@torch.inference_mode()
def _totals(policy: Policy, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    prompts = policy.stack_prompts([prompt for prompt, _ in rows])
    ids, mask = (
        part.to(policy.device) for part in pad([response for _, response in rows], value=policy.pad_id, side="right")
    )
    token_logprobs = policy.logprobs(prompts, ids, mask, sampling=Sampling(temperature=1.0, top_k=0))
    return (-(token_logprobs.logprobs.double() * mask).sum(1)).tolist()
