"""Trains a policy on edit pairs: a step is the mean loss of `batch_size` pairs, and the best checkpoint is kept.

The reference is the policy at the start: its log-probabilities are taken once, so that no second model is held.
Micro-batches of similar length change memory and speed but not the result. Dropout stays off. Knows nothing of
rewards, sampling or of how answers are judged.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from spanwise.core import DataError, RunFolder, SpanwiseError, torch_generator
from spanwise.feedback import EditPair
from spanwise.models import Policy, Sampling, pad
from spanwise.text import TokenEdit, align_token_pairs
from spanwise.training.config import DPOConfig, DPOLossConfig
from spanwise.training.loop import Evaluation, Watch, micro_batches, run_loop, shuffled
from spanwise.training.optimizer import Optimizer


@dataclass(frozen=True, slots=True)
class PairExample:
    """An edit pair in tokens; the responses are `edit.original` and `edit.edited`."""

    prompt: tuple[int, ...]
    edit: TokenEdit
    weight: float = 1.0

    def __len__(self) -> int:
        """Tokens of both sides, each with its prompt."""
        return 2 * len(self.prompt) + len(self.edit.original) + len(self.edit.edited)


def pair_examples(
    policy: Policy, pairs: Sequence[EditPair], config: DPOConfig
) -> tuple[list[PairExample], dict[str, int]]:
    """The pairs that can be trained on whole, and how many were left out for which reason."""
    counts: Counter[str] = Counter()
    prompts: list[tuple[int, ...]] = []
    sides: list[tuple[list[int], list[int]]] = []
    weights: list[float] = []
    for pair in pairs:
        reason = _unfit(pair)
        prompt = policy.encode_prompt(pair)
        original, edited = (policy.encode_response(text.strip()) for text in (pair.original, pair.edited))
        reason = reason or _too_long(policy, prompt, max(len(original), len(edited)), config)
        if reason is None and original == edited:
            reason = "identical as tokens"
        if reason is not None:
            counts[reason] += 1
            continue
        prompts.append(tuple(prompt))
        weights.append(pair.weight)
        sides.append((original, edited))
    edits = align_token_pairs(sides, eos=policy.eos_id, merge_gap=config.merge_gap, gap_anchor=config.gap_anchor)
    rows = zip(prompts, edits, weights, strict=True)
    return [PairExample(prompt, edit, weight) for prompt, edit, weight in rows], dict(counts)


def _unfit(pair: EditPair) -> str | None:
    if not pair.prompt.strip():
        return "no prompt"
    if not pair.original.strip() or not pair.edited.strip():
        return "empty"
    return "identical" if pair.original.strip() == pair.edited.strip() else None


def _too_long(policy: Policy, prompt: Sequence[int], longest: int, config: DPOConfig) -> str | None:
    if len(prompt) > config.max_prompt_tokens:
        return "prompt longer than max_prompt_tokens"
    if longest > config.max_response_tokens:
        return "response longer than max_response_tokens"
    room = policy.room_for_prompt(longest)
    return "longer than the policy's window" if room is not None and len(prompt) > room else None


@dataclass(frozen=True, slots=True)
class PairSide:
    """The edits or the originals of a batch."""

    logprobs: Float[Tensor, "b t"]
    """Under the policy; the gradient goes through them."""
    ref_logprobs: Float[Tensor, "b t"]
    """Under the policy as it was at the start."""
    response_mask: Bool[Tensor, "b t"]
    """True = a token of the response, its end-of-sequence token included."""
    changed: Bool[Tensor, "b t"]
    """True = a token that is not on the other side, or one that is to blame for a gap."""


@dataclass(frozen=True, slots=True)
class PairLosses:
    """The loss of each pair and what it is made of."""

    loss: Float[Tensor, " b"]
    preference: Float[Tensor, " b"]
    likelihood: Float[Tensor, " b"]
    """Negative log-likelihood of the edit per unit of token weight."""
    edited: Float[Tensor, " b"]
    original: Float[Tensor, " b"]
    """Log-ratios of the two sides by token weight."""


def token_weights(side: PairSide, config: DPOLossConfig) -> Float[Tensor, "b t"]:
    """The weight of each token; 0 where masked."""
    changed = torch.full_like(side.logprobs, config.changed_weight)
    weights = torch.where(side.changed, changed, config.unchanged_weight)
    return weights * side.response_mask


def log_ratios(side: PairSide, config: DPOLossConfig) -> Float[Tensor, " b"]:
    """The weighted sum of log pi - log pi_ref of each response, or with `per_token` the weighted mean."""
    weights = token_weights(side, config)
    total = (weights * (side.logprobs - side.ref_logprobs)).sum(1)
    return _over(total, weights.sum(1)) if config.per_token else total


def dpo_losses(
    edited: Float[Tensor, " b"], original: Float[Tensor, " b"], *, beta: float, penalty: float = 0.0
) -> Float[Tensor, " b"]:
    """-log sigmoid(beta (edited - original - penalty max(0, -edited))) of log-ratios."""
    return functional.softplus(-beta * (edited - original - penalty * functional.relu(-edited)))


def pair_losses(edited: PairSide, original: PairSide, config: DPOLossConfig) -> PairLosses:
    """All terms of every pair. A side without any weight has log-ratio 0."""
    better, worse = log_ratios(edited, config), log_ratios(original, config)
    preference = dpo_losses(better, worse, beta=config.beta, penalty=config.penalty)
    likelihood = _likelihood(edited, original, config)
    loss = config.preference * preference + config.likelihood * likelihood
    return PairLosses(loss, preference, likelihood, better, worse)


def _likelihood(edited: PairSide, original: PairSide, config: DPOLossConfig) -> Float[Tensor, " b"]:
    """What the edit's tokens lack, by weight, and what the original's changed ones have too much.

    With unlikelihood it is FIGA's loss (Guo et al. 2023): both sums are divided by the weighted tokens of both sides.
    """
    weights = token_weights(edited, config)
    if not config.unlikelihood:
        return -_over((weights * edited.logprobs).sum(1), weights.sum(1))
    pushed = original.changed & original.response_mask & (original.logprobs.detach().exp() >= config.confident)
    total = config.unlikelihood * (pushed * original.logprobs).sum(1) - (weights * edited.logprobs).sum(1)
    return _over(total, ((weights > 0).sum(1) + pushed.sum(1)).to(total))


def _over(total: Float[Tensor, " b"], weight: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The quotient; 0 where nothing has a weight."""
    return torch.where(weight > 0, total / torch.where(weight > 0, weight, 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class DPOResult:
    """Where the best checkpoint lies, how good it is on held-out pairs, and what the training pairs left out."""

    checkpoint: Path
    step: int
    """The step after which the checkpoint was written, counted from 1."""
    heldout: dict[str, float]
    """The held-out metrics of the best checkpoint."""
    left_out: dict[str, int]


def train_dpo(
    policy: Policy,
    pairs: Sequence[EditPair],
    heldout: Sequence[EditPair],
    *,
    config: DPOConfig,
    run: RunFolder,
    watch: Watch | None = None,
) -> DPOResult:
    """Trains `policy` in place and writes the best checkpoint to `checkpoints/best` of `run`.

    Best is the lowest held-out loss at the end of an epoch. Raises DataError when no pair can be trained on.
    """
    policy.use_prompts(config.prompt)
    examples, left_out = pair_examples(policy, pairs, config)
    judged, unjudged = pair_examples(policy, heldout, config)
    for kind, usable, counts in (("training", examples, left_out), ("held-out", judged, unjudged)):
        if not usable:
            reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "there is none"
            raise DataError(f"No {kind} pair can be learned from: {reasons}.")
    run.save_config(config)
    checkpoint = run.checkpoint("best")
    best = run_loop(
        PairObjective(policy, examples, config, heldout=judged, checkpoint=checkpoint), run=run, watch=watch
    )
    if not math.isfinite(best.evaluation.goodness):
        raise SpanwiseError("The held-out loss was never finite; lower learning_rate.")
    metrics = best.evaluation.metrics
    run.save_results({"step": best.step, "heldout": metrics, "left_out": left_out})
    return DPOResult(checkpoint, best.step, metrics, left_out)


class PairObjective:
    """The mean loss of a batch of pairs. Items are positions in `examples`; held-out pairs are counted on from there.

    The log-probabilities of all pairs under the policy as it is now are the reference.
    """

    name = "dpo"
    remedy = "lower learning_rate. The best checkpoint so far is kept."
    later_of_equals = False

    def __init__(
        self,
        policy: Policy,
        examples: Sequence[PairExample],
        config: DPOConfig,
        *,
        heldout: Sequence[PairExample] = (),
        checkpoint: Path | None = None,
    ) -> None:
        self._policy, self._examples, self.config = policy, [*examples, *heldout], config
        self.size, self._checkpoint = len(examples), checkpoint
        self._generator = torch_generator(config.seed, "dpo/order")
        self._reference: dict[int, tuple[list[float], list[float]]] = {}
        with torch.no_grad():
            for part in self.parts(range(len(self._examples))):
                self._remember(part)

    def optimizer(self) -> Optimizer:
        """All that the policy trains."""
        return Optimizer(self._policy.trained_parameters(), self.config)

    def batches(self) -> list[list[int]]:
        """In an order by chance."""
        return shuffled(range(self.size), self.config.batch_size, self._generator)

    def parts(self, batch: Sequence[int]) -> Iterator[list[int]]:
        """By the tokens of both sides."""
        return micro_batches(batch, self.config.micro_batch_tokens, length=lambda index: len(self._examples[index]))

    def loss(self, part: Sequence[int], batch: Sequence[int]) -> tuple[Float[Tensor, ""], PairLosses]:
        """The weighted sum over the part's pairs, divided by the weights of the batch."""
        losses = self._losses(part)
        weights = losses.loss.new_tensor([self._examples[index].weight for index in part])
        return (weights * losses.loss).sum() / sum(self._examples[index].weight for index in batch), losses

    def figures(self, terms: Sequence[PairLosses]) -> dict[str, float]:
        """Means over the pairs."""
        return _metrics(terms)

    def evaluate(self) -> Evaluation:
        """By the loss of the held-out pairs."""
        metrics = self.metrics(range(self.size, len(self._examples)))
        return Evaluation(-metrics["loss"], metrics)

    def keep(self) -> None:
        """Saves the policy."""
        if self._checkpoint is not None:
            self._policy.save(self._checkpoint)

    def metrics(self, pairs: Sequence[int]) -> dict[str, float]:
        """The metrics of some of the pairs, without training on them."""
        with torch.no_grad():
            return _metrics([self._losses(part) for part in self.parts(pairs)])

    def _losses(self, pairs: Sequence[int]) -> PairLosses:
        original, edited = self._logprobs(pairs)
        sides: list[PairSide] = []
        for number, (logprobs, mask) in enumerate((original, edited)):
            reference, changed = torch.zeros_like(logprobs), torch.zeros_like(mask)
            for row, index in enumerate(pairs):
                edit = self._examples[index].edit
                flags = (edit.original_changed, edit.edited_changed)[number]
                changed[row, : len(flags)] = torch.from_numpy(flags).to(changed.device)
                known = self._reference[index][number]
                reference[row, : len(known)] = torch.tensor(known, dtype=reference.dtype, device=reference.device)
            sides.append(PairSide(logprobs, reference, mask, changed))
        return pair_losses(sides[1], sides[0], self.config.loss)

    def _logprobs(self, pairs: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """(log-probabilities, response mask) of the originals, then of the edits."""
        examples = [self._examples[index] for index in pairs]
        responses = [example.edit.original for example in examples] + [example.edit.edited for example in examples]
        ids, mask = pad(responses, value=self._policy.pad_id, side="right")
        ids, mask = ids.to(self._policy.device), mask.to(self._policy.device)
        prompts = self._policy.stack_prompts([example.prompt for example in examples] * 2)
        logprobs = self._policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        half = len(examples)
        return [(logprobs[:half], mask[:half]), (logprobs[half:], mask[half:])]

    def _remember(self, pairs: Sequence[int]) -> None:
        (original, mask), (edited, other) = self._logprobs(pairs)
        for row, index in enumerate(pairs):
            self._reference[index] = (original[row][mask[row]].tolist(), edited[row][other[row]].tolist())


def _metrics(parts: Sequence[PairLosses]) -> dict[str, float]:
    """Means over the pairs; accuracy is how often the edit gained more than its original."""
    edited, original = _joined([part.edited for part in parts]), _joined([part.original for part in parts])
    return {
        "loss": float(_joined([part.loss for part in parts]).mean()),
        "preference_loss": float(_joined([part.preference for part in parts]).mean()),
        "likelihood_loss": float(_joined([part.likelihood for part in parts]).mean()),
        "accuracy": float((edited > original).float().mean()),
        "edited_logratio": float(edited.mean()),
        "original_logratio": float(original.mean()),
    }


def _joined(parts: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, " n"]:
    return torch.cat([part.detach() for part in parts])
