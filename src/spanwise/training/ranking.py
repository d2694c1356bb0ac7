"""RRHF (Yuan et al. 2023): a policy learns to find better answers likelier, and the best one by heart.

Of several answers to a prompt with rewards r, p being the mean log-probability over an answer's tokens: the sum over
pairs with r_i < r_j of max(0, p_i - p_j), plus the negative p of the best. Neither samples while training nor holds a
reference. Knows nothing of where answers and rewards come from.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from spanwise.core import DataError, RunFolder, SpanwiseError, torch_generator
from spanwise.feedback import Sample
from spanwise.models import Policy, Sampling, pad
from spanwise.training.config import RankingConfig
from spanwise.training.loop import Evaluation, Watch, micro_batches, run_loop, shuffled
from spanwise.training.optimizer import Optimizer


@dataclass(frozen=True)
class RankedAnswers:
    """Answers to one prompt with their rewards; None = it could not be scored, and says nothing."""

    samples: Sequence[Sample]
    rewards: Sequence[float | None]


@dataclass(frozen=True)
class _Group:
    prompt: list[int]
    responses: list[list[int]]
    rewards: list[float]

    def __len__(self) -> int:
        return sum(len(self.prompt) + len(response) for response in self.responses)


def ranking_loss(
    mean_logprobs: Float[Tensor, " n"], rewards: Float[Tensor, " n"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The hinge over all pairs of one prompt's answers, and the negative mean log-probability of the best, the first
    of equals.
    """
    worse = rewards[:, None] < rewards[None, :]
    hinge = functional.relu(mean_logprobs[:, None] - mean_logprobs[None, :])
    return (hinge * worse).sum(), -mean_logprobs[rewards.argmax()]


def train_ranking(
    policy: Policy,
    answers: Sequence[RankedAnswers],
    heldout: Sequence[RankedAnswers],
    *,
    config: RankingConfig,
    run: RunFolder,
    watch: Watch | None = None,
) -> Path:
    """Trains `policy` in place; returns the best checkpoint, that of the lowest held-out loss.

    Raises DataError where no prompt has two scored answers of different reward that fit the policy's window.
    """
    groups, judged = (_groups(policy, part) for part in (answers, heldout))
    for kind, part in (("training", groups), ("held-out", judged)):
        if not part:
            raise DataError(f"No {kind} prompt has two answers of different reward that fit the window; give more.")
    run.save_config(config)
    checkpoint = run.checkpoint("best")
    best = run_loop(_Ranking(policy, groups, judged, config, checkpoint), run=run, watch=watch)
    if not math.isfinite(best.evaluation.goodness):
        raise SpanwiseError("The held-out loss was never finite; lower learning_rate.")
    return checkpoint


def _groups(policy: Policy, answers: Sequence[RankedAnswers]) -> list[_Group]:
    groups: list[_Group] = []
    for item in answers:
        known = [
            (sample, reward) for sample, reward in zip(item.samples, item.rewards, strict=True) if reward is not None
        ]
        if len({reward for _, reward in known}) < 2:
            continue
        prompt = policy.encode_prompt(known[0][0])
        responses = [policy.encode_response(sample.response.strip()) for sample, _ in known]
        room = policy.room_for_prompt(max(map(len, responses)))
        if room is None or len(prompt) <= room:
            groups.append(_Group(prompt, responses, [reward for _, reward in known]))
    return groups


@dataclass
class _Ranking:
    """The objective: the mean over prompts; the answers to a prompt are never parted."""

    policy: Policy
    groups: Sequence[_Group]
    heldout: Sequence[_Group]
    config: RankingConfig
    checkpoint: Path

    name = "ranking"
    remedy = "lower learning_rate. The best checkpoint so far is kept."
    later_of_equals = False

    def __post_init__(self) -> None:
        self.generator = torch_generator(self.config.seed, "ranking/order")

    @property
    def size(self) -> int:
        return len(self.groups)

    def optimizer(self) -> Optimizer:
        return Optimizer(self.policy.trained_parameters(), self.config)

    def batches(self) -> list[list[_Group]]:
        return shuffled(self.groups, self.config.batch_size, self.generator)

    def parts(self, batch: Sequence[_Group]) -> Iterator[list[_Group]]:
        return micro_batches(batch, self.config.micro_batch_tokens, length=len)

    def loss(self, part: Sequence[_Group], batch: Sequence[_Group]) -> tuple[Float[Tensor, ""], Tensor]:
        terms = self._terms(part)
        total = (terms[:, 0] + self.config.likelihood * terms[:, 1]).sum() / len(batch)
        return total, terms.detach()

    def figures(self, terms: Sequence[Tensor]) -> dict[str, float]:
        hinge, likelihood = torch.cat(list(terms)).mean(0).tolist()
        return {"hinge": hinge, "likelihood": likelihood, "loss": hinge + self.config.likelihood * likelihood}

    def evaluate(self) -> Evaluation:
        with torch.no_grad():
            metrics = self.figures([self._terms(part) for part in self.parts(self.heldout)])
        return Evaluation(-metrics["loss"], metrics)

    def keep(self) -> None:
        self.policy.save(self.checkpoint)

    def _terms(self, groups: Sequence[_Group]) -> Float[Tensor, "g 2"]:
        """Hinge and likelihood of each prompt."""
        policy = self.policy
        rows = [response for group in groups for response in group.responses]
        ids, mask = (part.to(policy.device) for part in pad(rows, value=policy.pad_id, side="right"))
        prompts = policy.stack_prompts([group.prompt for group in groups for _ in group.responses])
        logprobs = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        means = (logprobs.sum(1) / mask.sum(1)).split([len(group.responses) for group in groups])
        rewards = [torch.tensor(group.rewards, device=policy.device) for group in groups]
        return torch.stack([torch.stack(ranking_loss(*pair)) for pair in zip(means, rewards, strict=True)])
