"""Trains a policy on edit pairs: a step is the mean loss of `batch_size` pairs, and the best checkpoint is kept.

The reference is the policy at the start: its log-probabilities are taken once, so that no second model is held.
Micro-batches of similar length change memory and speed but not the result. Dropout stays off. Knows nothing of
rewards, sampling or of how answers are judged.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from spanwise.errors import DataError, SpanwiseError
from spanwise.feedback.edits import EditPair
from spanwise.models.batches import pad
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy
from spanwise.preference_tuning.config import DPOConfig
from spanwise.preference_tuning.examples import PairExample, pair_examples
from spanwise.preference_tuning.losses import PairLosses, PairSide, pair_losses
from spanwise.seeding import torch_generator
from spanwise.tracking import RunFolder

Watch = Callable[[int, Mapping[str, float]], None]
"""Called with the step and its metrics after every step and every evaluation."""


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
    examples, left_out = pair_examples(policy, pairs, config)
    judged, unjudged = pair_examples(policy, heldout, config)
    for kind, found, counts in (("training", examples, left_out), ("held-out", judged, unjudged)):
        if not found:
            reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "there is none"
            raise DataError(f"No {kind} pair can be learned from: {reasons}.")
    run.save_config(config)
    training = PairTraining(policy, [*examples, *judged], config)
    places = range(len(examples), len(examples) + len(judged))
    best: DPOResult | None = None
    for step, metrics in training.steps(len(examples)):
        shown = metrics
        if step % training.steps_per_epoch(len(examples)) == 0:
            found = training.evaluate(places)
            shown = metrics | {f"heldout/{name}": value for name, value in found.items()}
            if best is None or found["loss"] < best.heldout["loss"]:
                best = DPOResult(run.checkpoint("best"), step, found, left_out)
                policy.save(best.checkpoint)
        run.log_metrics(step, shown)
        if watch is not None:
            watch(step, shown)
    if best is None:
        raise SpanwiseError("The held-out loss was never finite; lower learning_rate.")
    run.save_results({"step": best.step, "heldout": best.heldout, "left_out": left_out})
    return best


class PairTraining:
    """The examples with their reference log-probabilities, the optimiser and the order of the examples."""

    def __init__(self, policy: Policy, examples: Sequence[PairExample], config: DPOConfig) -> None:
        self._policy, self._examples, self._config = policy, examples, config
        self._parameters = list(policy.trained_parameters().values())
        self._generator = torch_generator(config.seed, "dpo/order")
        self._reference: dict[int, tuple[list[float], list[float]]] = {}
        with torch.no_grad():
            for part in self._micro_batches(range(len(examples))):
                self._remember(part)

    def steps_per_epoch(self, count: int) -> int:
        """Optimiser steps in one pass over `count` pairs."""
        return math.ceil(count / self._config.batch_size)

    def steps(self, count: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains on the first `count` examples, and yields number and metrics of each step just done, from 1."""
        config = self._config
        total = config.epochs * self.steps_per_epoch(count)
        adamw = torch.optim.AdamW(self._parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        schedule = get_linear_schedule_with_warmup(adamw, round(config.warmup * total), total)
        step = 0
        for _ in range(config.epochs):
            order: list[int] = torch.randperm(count, generator=self._generator).tolist()
            for start in range(0, count, config.batch_size):
                step += 1
                yield step, self._step(step, order[start : start + config.batch_size], adamw)
                schedule.step()

    def evaluate(self, places: Sequence[int]) -> dict[str, float]:
        """The metrics of the examples at `places`, without training on them."""
        with torch.no_grad():
            return _metrics([self._losses(part) for part in self._micro_batches(places)])

    def _step(self, step: int, places: Sequence[int], adamw: torch.optim.Optimizer) -> dict[str, float]:
        found: list[PairLosses] = []
        for part in self._micro_batches(places):
            losses = self._losses(part)
            (losses.loss.sum() / len(places)).backward()
            found.append(losses)
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm))
        if not math.isfinite(norm):
            raise SpanwiseError(
                f"Step {step}: the gradient is not finite; lower learning_rate. The best checkpoint so far is kept."
            )
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        rate = float(adamw.param_groups[0]["lr"])
        own = {f"dpo/{name}": value for name, value in _metrics(found).items()}
        return own | {"dpo/learning_rate": rate, "dpo/grad_norm": norm}

    def _losses(self, places: Sequence[int]) -> PairLosses:
        original, edited = self._logprobs(places)
        sides: list[PairSide] = []
        for number, (logprobs, mask) in enumerate((original, edited)):
            reference, changed = torch.zeros_like(logprobs), torch.zeros_like(mask)
            for row, place in enumerate(places):
                edit = self._examples[place].edit
                flags = (edit.original_changed, edit.edited_changed)[number]
                changed[row, : len(flags)] = torch.from_numpy(flags).to(changed.device)
                known = self._reference[place][number]
                reference[row, : len(known)] = torch.tensor(known, dtype=reference.dtype, device=reference.device)
            sides.append(PairSide(logprobs, reference, mask, changed))
        return pair_losses(sides[1], sides[0], self._config.loss)

    def _logprobs(self, places: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """(log-probabilities, response mask) of the originals, then of the edits."""
        examples = [self._examples[place] for place in places]
        responses = [example.edit.original for example in examples] + [example.edit.edited for example in examples]
        ids, mask = pad(responses, value=self._policy.pad_id, side="right")
        ids, mask = ids.to(self._policy.device), mask.to(self._policy.device)
        prompts = self._policy.stack_prompts([example.prompt for example in examples] * 2)
        logprobs = self._policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        half = len(examples)
        return [(logprobs[:half], mask[:half]), (logprobs[half:], mask[half:])]

    def _remember(self, places: Sequence[int]) -> None:
        (original, mask), (edited, other) = self._logprobs(places)
        for row, place in enumerate(places):
            self._reference[place] = (original[row][mask[row]].tolist(), edited[row][other[row]].tolist())

    def _micro_batches(self, places: Sequence[int]) -> Iterator[list[int]]:
        part: list[int] = []
        for place in sorted(places, key=lambda place: len(self._examples[place])):
            if part and (len(part) + 1) * len(self._examples[place]) > self._config.micro_batch_tokens:
                yield part
                part = []
            part.append(place)
        yield part


def _metrics(parts: Sequence[PairLosses]) -> dict[str, float]:
    """Means over the pairs; accuracy is how often the edit gained more than its original."""
    edited, original = _joined([one.edited for one in parts]), _joined([one.original for one in parts])
    return {
        "loss": float(_joined([one.loss for one in parts]).mean()),
        "preference_loss": float(_joined([one.preference for one in parts]).mean()),
        "likelihood_loss": float(_joined([one.likelihood for one in parts]).mean()),
        "accuracy": float((edited > original).float().mean()),
        "edited_logratio": float(edited.mean()),
        "original_logratio": float(original.mean()),
    }


def _joined(parts: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, " n"]:
    return torch.cat([part.detach() for part in parts])
