"""How good a reward model is, head by head, beside the trivial answers that any model must beat.

Reads logits and labels only; training and the command line both call it. A segment head is measured on the segments
with a label, a pair head on the decided pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from spanwise.reward_models.data import Example, by_length, make_batch
from spanwise.reward_models.fitting.calibration import (
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
)
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import SpanRewardModel


@dataclass
class HeadOutputs:
    """What a head said on held-out data: logits and labels of segments, or scores of pairs and of responses."""

    logits: list[float] = field(default_factory=list[float])
    correct: list[float] = field(default_factory=list[float])
    better: list[float] = field(default_factory=list[float])
    worse: list[float] = field(default_factory=list[float])
    better_longer: list[bool] = field(default_factory=list[bool])
    better_first: list[bool] = field(default_factory=list[bool])
    """Only of pairs whose order is known."""
    scores: list[float] = field(default_factory=list[float])


def collect_outputs(
    model: SpanRewardModel, examples: Sequence[Example], *, batch_size: int, pad_id: int
) -> dict[str, HeadOutputs]:
    """Runs the model over `examples` without dropout and sorts what each head said."""
    heads = model.config.head_specs
    outputs = {head.name: HeadOutputs() for head in heads}
    training = model.training
    model.eval()
    with torch.inference_mode():
        for group in by_length(examples, batch_size=batch_size):
            _collect(model, group, heads, outputs, pad_id)
    model.train(training)
    return outputs


@dataclass(frozen=True, slots=True)
class HeadQuality:
    """How good one head is: metrics by name, and for segment heads how probabilities and frequencies agree."""

    density: str
    metrics: dict[str, float]
    reliability: list[dict[str, float]]


def judge_heads(outputs: dict[str, HeadOutputs], heads: Sequence[HeadSpec]) -> dict[str, HeadQuality]:
    """The quality of each head with its present calibration."""
    metrics = evaluate_outputs(outputs, heads)
    return {head.name: HeadQuality(head.density, metrics[head.name], _bins(outputs[head.name], head)) for head in heads}


def evaluate_outputs(outputs: dict[str, HeadOutputs], heads: Sequence[HeadSpec]) -> dict[str, dict[str, float]]:
    """Metrics by head; a head without labels has only its count of 0."""
    return {
        head.name: _segment_metrics(outputs[head.name], head)
        if head.kind == "segment"
        else _pair_metrics(outputs[head.name])
        for head in heads
    }


def selection_score(metrics: dict[str, dict[str, float]]) -> float:
    """Mean over the heads of what training selects by: AUROC for segments, accuracy for pairs."""
    found = [values.get("auroc", values.get("pair_accuracy")) for values in metrics.values()]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else 0.0


def _collect(
    model: SpanRewardModel,
    group: Sequence[Example],
    heads: Sequence[HeadSpec],
    outputs: dict[str, HeadOutputs],
    pad_id: int,
) -> None:
    batch = make_batch(group, heads, pad_id=pad_id, pack_to=model.config.window if model.packs else 0)
    logits = model.score(batch.inputs.to(model.device)).float().cpu()
    for number, head in enumerate(heads):
        mine, found = batch.inputs.pieces[:, 1] == number, outputs[head.name]
        if head.kind == "segment":
            chosen = mine & batch.label_mask
            found.logits += logits[chosen].tolist()
            found.correct += batch.correct[chosen].tolist()
            continue
        pairs = batch.pairs[head.name]
        found.scores += logits[mine].tolist()
        found.better += logits[pairs.better].tolist()
        found.worse += logits[pairs.worse].tolist()
        found.better_first += [order > 0 for order in pairs.order.tolist() if order]
        found.better_longer += [
            _length(group, batch.owners[better]) > _length(group, batch.owners[worse])
            for better, worse in zip(pairs.better.tolist(), pairs.worse.tolist(), strict=True)
        ]


def _bins(found: HeadOutputs, head: HeadSpec) -> list[dict[str, float]]:
    if head.kind != "segment" or not found.logits:
        return []
    return reliability_bins(_probabilities(found, head), _numbers(np.asarray(found.correct) == 1.0))


def _probabilities(found: HeadOutputs, head: HeadSpec) -> NDArray[np.float64]:
    return expit(head.slope * np.asarray(found.logits) + head.offset)


def _length(group: Sequence[Example], owner: tuple[int, int]) -> int:
    number, position = owner
    return len(group[number].labels.record.responses[position].text)


def _segment_metrics(found: HeadOutputs, head: HeadSpec) -> dict[str, float]:
    """A segment has an error when any part of it has, also where labels are soft."""
    if not found.logits:
        return {"segments": 0}
    right = _probabilities(found, head)
    fine = np.asarray(found.correct) == 1.0
    precision, recall, f1, _ = precision_recall_fscore_support(
        ~fine,
        right < 0.5,
        average="binary",
        zero_division=0.0,  # pyright: ignore[reportArgumentType] -- typed by its default "warn", documented as a number
    )
    errors = float((~fine).mean())
    metrics = {
        "segments": len(fine),
        "error_share": errors,
        "majority_accuracy": max(errors, 1 - errors),
        "accuracy": float(((right >= 0.5) == fine).mean()),
        "error_precision": float(precision),
        "error_recall": float(recall),
        "error_f1": float(f1),
        "calibration_error": expected_calibration_error(right, _numbers(fine)),
        "log_loss": negative_log_likelihood(right, _numbers(fine)),
    }
    if 0 < errors < 1:
        metrics["auroc"] = float(roc_auc_score(fine, right))
    return metrics


def _pair_metrics(found: HeadOutputs) -> dict[str, float]:
    """Equal scores count as half right."""
    if not found.better:
        return {"pairs": 0}
    gap = np.asarray(found.better) - np.asarray(found.worse)
    metrics = {
        "pairs": len(gap),
        "pair_accuracy": float((gap > 0).mean() + 0.5 * (gap == 0).mean()),
        "equal_scores": int((gap == 0).sum()),
        "longer_wins": float(np.mean(found.better_longer)),
    }
    if found.better_first:
        metrics["first_listed_wins"] = float(np.mean(found.better_first))
    return metrics


def _numbers(flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    return flags.astype(np.float64)
