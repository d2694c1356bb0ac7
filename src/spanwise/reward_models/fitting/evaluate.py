"""How good a reward model is, head by head, beside the trivial answers that any model must beat.

Reads logits, rewards and labels only; training and the command line both call it. A segment head is measured on the
segments with a label, a pair head on the decided pairs, a token head on which side of an edit it prefers and whether it
finds what was changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from spanwise.core import TrainingError
from spanwise.reward_models.data import (
    Example,
    LabelExample,
    PairExample,
    TokenExample,
    by_length,
    make_batch,
    token_batch,
)
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
    for head_outputs in outputs.values():
        _check_finite([*head_outputs.logits, *head_outputs.scores])
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
    by_head = [values.get("auroc", values.get("pair_accuracy")) for values in metrics.values()]
    known = [value for value in by_head if value is not None]
    return sum(known) / len(known) if known else 0.0


def _collect(
    model: SpanRewardModel,
    group: Sequence[Example],
    heads: Sequence[HeadSpec],
    outputs: dict[str, HeadOutputs],
    pad_id: int,
) -> None:
    batch = make_batch(group, heads, pad_id=pad_id, pack_to=model.pack_to)
    logits = model.score(batch.inputs.to(model.device)).float().cpu()
    for number, head in enumerate(heads):
        mine, head_outputs = batch.inputs.pieces[:, 1] == number, outputs[head.name]
        if head.kind == "segment":
            chosen = mine & batch.label_mask
            head_outputs.logits += logits[chosen].tolist()
            head_outputs.correct += batch.correct[chosen].tolist()
            continue
        pairs = batch.pairs[head.name]
        head_outputs.scores += logits[mine].tolist()
        means = pairs.means(logits)
        head_outputs.better += means[pairs.better].tolist()
        head_outputs.worse += means[pairs.worse].tolist()
        head_outputs.better_first += [order > 0 for order in pairs.order.tolist() if order]
        head_outputs.better_longer += [
            _length(group, batch.owners[better]) > _length(group, batch.owners[worse])
            for better, worse in zip(pairs.first[pairs.better].tolist(), pairs.first[pairs.worse].tolist(), strict=True)
        ]


def _check_finite(scores: Sequence[float] | NDArray[np.float64]) -> None:
    if not np.isfinite(scores).all():
        raise TrainingError("the reward model's scores are not finite.")


def _bins(outputs: HeadOutputs, head: HeadSpec) -> list[dict[str, float]]:
    if head.kind != "segment" or not outputs.logits:
        return []
    return reliability_bins(_probabilities(outputs, head), _numbers(np.asarray(outputs.correct) == 1.0))


def _probabilities(outputs: HeadOutputs, head: HeadSpec) -> NDArray[np.float64]:
    return expit(head.slope * np.asarray(outputs.logits) + head.offset)


def _length(group: Sequence[Example], owner: tuple[int, int]) -> int:
    number, position = owner
    return len(group[number].labels.record.responses[position].text)


def _segment_metrics(outputs: HeadOutputs, head: HeadSpec) -> dict[str, float]:
    """A segment has an error when any part of it has, also where labels are soft."""
    if not outputs.logits:
        return {"segments": 0}
    right = _probabilities(outputs, head)
    fine = np.asarray(outputs.correct) == 1.0
    errors = float((~fine).mean())
    return {
        "segments": len(fine),
        "error_share": errors,
        **(_told_apart(fine, right) if 0 < errors < 1 else {}),
        "calibration_error": expected_calibration_error(right, _numbers(fine)),
        "log_loss": negative_log_likelihood(right, _numbers(fine)),
    }


def _told_apart(fine: NDArray[np.bool_], right: NDArray[np.float64]) -> dict[str, float]:
    """What can be known only where some segments are right and some are wrong."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        ~fine,
        right < 0.5,
        average="binary",
        zero_division=0.0,  # pyright: ignore[reportArgumentType] -- typed by its default "warn", documented as a number
    )
    return {
        "majority_accuracy": float(max(fine.mean(), 1 - fine.mean())),
        "accuracy": float(((right >= 0.5) == fine).mean()),
        "error_precision": float(precision),
        "error_recall": float(recall),
        "error_f1": float(f1),
        "auroc": float(roc_auc_score(fine, right)),
    }


def _pair_metrics(outputs: HeadOutputs) -> dict[str, float]:
    """Equal scores count as half right."""
    if not outputs.better:
        return {"pairs": 0}
    gap = np.asarray(outputs.better) - np.asarray(outputs.worse)
    metrics = {
        "pairs": len(gap),
        "pair_accuracy": float((gap > 0).mean() + 0.5 * (gap == 0).mean()),
        "equal_scores": int((gap == 0).sum()),
        "longer_wins": float(np.mean(outputs.better_longer)),
    }
    if outputs.better_first:
        metrics["first_listed_wins"] = float(np.mean(outputs.better_first))
    return metrics


def _numbers(flags: NDArray[np.bool_]) -> NDArray[np.float64]:
    return flags.astype(np.float64)


Rewards = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TokenOutput:
    """An example and the raw rewards of the tokens of each of its responses."""

    example: TokenExample
    rewards: tuple[Rewards, ...]


def collect_rewards(
    model: SpanRewardModel, examples: Sequence[TokenExample], *, batch_size: int, pad_id: int
) -> list[TokenOutput]:
    """Runs the model over `examples` without dropout; shortest first."""
    (head,) = model.config.head_specs
    training, outputs = model.training, list[TokenOutput]()
    model.eval()
    with torch.inference_mode():
        for group in by_length(examples, batch_size=batch_size):
            batch = token_batch(group, head, pad_id=pad_id, pack_to=model.pack_to)
            flat = model.score(batch.inputs.to(model.device)).double().cpu().numpy()
            start = 0
            for example in group:
                sizes = [len(response.pieces["token"]) for response in example.responses]
                edges = np.cumsum([start, *sizes]).tolist()
                rows = tuple(flat[left:right] for left, right in pairwise(edges))
                outputs.append(TokenOutput(example, rows))
                start = edges[-1]
    model.train(training)
    for output in outputs:
        _check_finite(np.concatenate(output.rewards))
    return outputs


def token_metrics(outputs: Sequence[TokenOutput]) -> dict[str, float]:
    """Metrics of pairs, of labelled tokens and of the rewards as such; only those that there is data for."""
    pairs = [
        (output.example, output.rewards[0], output.rewards[1])
        for output in outputs
        if isinstance(output.example, PairExample)
    ]
    labels = [(output.example, output.rewards[0]) for output in outputs if isinstance(output.example, LabelExample)]
    return {**_edit_metrics(pairs), **_label_metrics(labels), **_reward_metrics(outputs)}


def token_selection_score(metrics: dict[str, float]) -> float:
    """What training selects by: the mean of pair accuracy and of the AUROCs that there are."""
    names = ("pair_accuracy", "auroc_original", "auroc_edited", "auroc_labels")
    known = [metrics[name] for name in names if name in metrics]
    return sum(known) / len(known) if known else 0.0


def _edit_metrics(pairs: Sequence[tuple[PairExample, Rewards, Rewards]]) -> dict[str, float]:
    """Equal scores count as half right; the sequence score is the mean (equation 1)."""
    if not pairs:
        return {}
    gaps = np.array([edited.mean() - original.mean() for _, original, edited in pairs])
    lengths = [(len(example.edit.edited), len(example.edit.original)) for example, _, _ in pairs]
    changed_original = np.concatenate([example.edit.original_changed for example, _, _ in pairs])
    changed_edited = np.concatenate([example.edit.edited_changed for example, _, _ in pairs])
    return {
        "pairs": len(pairs),
        "pair_accuracy": float((gaps > 0).mean() + 0.5 * (gaps == 0).mean()),
        "longer_wins": float(np.mean([edited > original for edited, original in lengths])),
        **_auroc("auroc_original", changed_original, -np.concatenate([original for _, original, _ in pairs])),
        **_auroc("auroc_edited", changed_edited, np.concatenate([edited for _, _, edited in pairs])),
        **_drift(pairs),
    }


def _drift(pairs: Sequence[tuple[PairExample, Rewards, Rewards]]) -> dict[str, float]:
    """How far tokens that stay move between the sides, and their share of the difference between the scores."""
    moves: list[Rewards] = []
    shares: list[float] = []
    for example, original, edited in pairs:
        places = example.edit.unchanged_pairs
        moves.append(np.abs(original[places[:, 0]] - edited[places[:, 1]]))
        part = float((edited * example.edit.edited_changed).sum() / len(edited))
        part -= float((original * example.edit.original_changed).sum() / len(original))
        rest = float(edited.mean() - original.mean()) - part
        shares.append(abs(rest) / max(1e-12, abs(rest) + abs(part)))
    every = np.concatenate(moves)
    return {"unchanged_drift": float(every.mean()) if every.size else 0.0, "unchanged_share": float(np.mean(shares))}


def _label_metrics(labels: Sequence[tuple[LabelExample, Rewards]]) -> dict[str, float]:
    known = [
        (value, reward)
        for example, rewards in labels
        for value, reward in zip(example.correct, rewards.tolist(), strict=True)
        if value is not None
    ]
    if not known:
        return {}
    wrong = np.array([value < 1.0 for value, _ in known])
    scores = -np.array([reward for _, reward in known])
    return {"labelled_tokens": len(known), "wrong_share": float(wrong.mean()), **_auroc("auroc_labels", wrong, scores)}


def _reward_metrics(outputs: Sequence[TokenOutput]) -> dict[str, float]:
    """Of the raw rewards: spread, and how the mean of a response goes with its length."""
    rows = [rewards for output in outputs for rewards in output.rewards if rewards.size]
    if not rows:
        return {}
    every = np.concatenate(rows)
    means, lengths = np.array([row.mean() for row in rows]), np.array([float(len(row)) for row in rows])
    low, high = np.percentile(every, [5, 95])
    metrics = {
        "reward_mean": float(every.mean()),
        "reward_std": float(every.std()),
        "reward_p05": float(low),
        "reward_p95": float(high),
    }
    if means.std() > 0 and lengths.std() > 0:
        metrics["length_correlation"] = float(np.corrcoef(means, lengths)[0, 1])
    return metrics


def _auroc(name: str, positive: NDArray[np.bool_], scores: Rewards) -> dict[str, float]:
    return {name: float(roc_auc_score(positive, scores))} if 0 < positive.sum() < len(positive) else {}
