"""Measures a policy on held-out prompts with the run's own reward: greedy, sampled or the best of several answers.

Some answers are written down, token by token. Decides nothing: the trainer keeps the best checkpoint by `eval/reward`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.core import torch_generator
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.rewards import TokenScores
from spanwise.rl.algorithms import ModelInputs, Rollout, token_kl
from spanwise.rl.config import TrainerConfig
from spanwise.rl.experience import token_logprobs, widened
from spanwise.rl.metrics import response_metrics, reward_metrics
from spanwise.rl.rollout import RolloutMaker
from spanwise.rl.runtime import Budget


class Evaluator:
    """Answers the same held-out prompts again and again, with the same random numbers where it samples."""

    def __init__(
        self,
        rollouts: RolloutMaker,
        reference: Policy | None,
        heldout: Sequence[PromptRecord],
        config: TrainerConfig,
        *,
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._rollouts = rollouts
        self._reference = reference
        self._records = heldout[: config.evaluation.max_prompts]
        self._config = config
        greedy = config.evaluation.decoding == "greedy"
        # Greedy responses come with log-probabilities at temperature 1 among all tokens.
        self._sampling = (
            config.sampling.model_copy(update={"temperature": 1.0, "top_k": 0}) if greedy else config.sampling
        )

    def __call__(self, step: int) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Metrics `eval/...` over all held-out prompts, and rows for samples.jsonl of the first few."""
        rollout = self._answer(step)
        kl = self._kl(rollout)
        measured = {**reward_metrics(rollout), **response_metrics(rollout)}
        if kl is not None:
            measured["kl/response"] = float(kl.sum(1).mean())
        metrics = {f"eval/{name}": value for name, value in measured.items()}
        return metrics, list(sample_rows(rollout, kl, self._config.evaluation.logged_samples))

    def _answer(self, step: int) -> Rollout:
        if self._config.evaluation.decoding == "greedy":
            return self._rollouts.greedy(
                self._records,
                max_new_tokens=self._sampling.max_new_tokens,
                min_new_tokens=self._sampling.min_new_tokens,
                step=step,
            )
        count = self._config.evaluation.best_of
        rollout = self._rollouts.sample(
            self._records,
            sampling=self._sampling,
            samples_per_prompt=count,
            generator=torch_generator(self._config.seed, "evaluation", self._rollouts.policy.device),
            step=step,
        )
        return rollout if count == 1 else best_of(rollout, count)

    def _kl(self, rollout: Rollout) -> Float[Tensor, "b t"] | None:
        if self._reference is None:
            return None
        inputs = ModelInputs.of(rollout.prompts, rollout.responses)
        ref_logprobs = token_logprobs(self._reference, inputs, sampling=self._sampling, budget=self._budget)
        return token_kl(rollout.responses.logprobs, ref_logprobs, inputs.response_mask, estimator="k1")


def sample_rows(rollout: Rollout, kl: Float[Tensor, "b t"] | None, count: int) -> Iterator[dict[str, Any]]:
    """The first `count` responses with their rewards token by token: the rows of samples.jsonl.

    A row has no `kl` where none was measured.
    """
    scores, width = rollout.scores, rollout.responses.ids.shape[1]
    total = widened(scores.total, width)
    shares = {name: widened(share, width) for name, share in scores.shares.items()}
    for row in range(min(count, len(rollout.samples))):
        tokens = list(rollout.tokens[row])
        token_scores = total[row, : len(tokens)].tolist()
        yield {
            "prompt": rollout.samples[row].prompt,
            "response": rollout.samples[row].response,
            "tokens": tokens,
            "token_scores": token_scores,
            "shares": {name: share[row, : len(tokens)].tolist() for name, share in shares.items()},
            **({} if kl is None else {"kl": kl[row, : len(tokens)].tolist()}),
            "total": sum(token_scores),
            "dropped": bool(scores.dropped[row]),
        }


def best_of(rollout: Rollout, samples_per_prompt: int) -> Rollout:
    """For each prompt the response with the highest total reward, the first where several have it.

    Responses that could not be scored are chosen only where no other is left.
    """
    totals = rollout.scores.total.sum(1).masked_fill(rollout.scores.dropped, -torch.inf)
    chosen = totals.view(-1, samples_per_prompt).argmax(1)
    return _rows(rollout, (chosen + torch.arange(len(chosen)) * samples_per_prompt).tolist())


def _rows(rollout: Rollout, rows: list[int]) -> Rollout:
    scores = rollout.scores
    picked = torch.tensor(rows)
    return Rollout(
        prompts=rollout.prompts.select(picked),
        responses=rollout.responses.select(picked),
        samples=[rollout.samples[row] for row in rows],
        tokens=[rollout.tokens[row] for row in rows],
        scores=TokenScores(
            total=scores.total[picked],
            shares={name: share[picked] for name, share in scores.shares.items()},
            raw=[scores.raw[row] for row in rows],
            dropped=scores.dropped[picked],
        ),
    )
