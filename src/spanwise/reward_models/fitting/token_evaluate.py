"""How good rewards of tokens are: which side of a pair they prefer, and whether they find what was changed.

Beside them stands what any model must beat: how often the longer side is the edit. Reads rewards and masks only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from spanwise.reward_models.data import LabelExample, PairExample, TokenExample, in_batches, token_batch
from spanwise.reward_models.network import SpanRewardModel

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
    ordered = sorted(examples, key=lambda example: example.length)
    (head,) = model.config.head_specs
    limit = model.config.window if model.packs else 0
    training, found = model.training, list[TokenOutput]()
    model.eval()
    with torch.inference_mode():
        for group in in_batches(ordered, batch_size):
            batch = token_batch(group, head, pad_id=pad_id, pack_to=limit)
            flat = model.score(batch.inputs.to(model.device)).double().cpu().numpy()
            start = 0
            for example in group:
                sizes = [len(response.pieces["token"]) for response in example.responses]
                edges = np.cumsum([start, *sizes]).tolist()
                rows = tuple(flat[left:right] for left, right in pairwise(edges))
                found.append(TokenOutput(example, rows))
                start = edges[-1]
    model.train(training)
    return found


def token_metrics(outputs: Sequence[TokenOutput]) -> dict[str, float]:
    """Metrics of pairs, of labelled tokens and of the rewards as such; only those that there is data for."""
    pairs = [
        (output.example, output.rewards[0], output.rewards[1])
        for output in outputs
        if isinstance(output.example, PairExample)
    ]
    labels = [(output.example, output.rewards[0]) for output in outputs if isinstance(output.example, LabelExample)]
    return {**_pair_metrics(pairs), **_label_metrics(labels), **_reward_metrics(outputs)}


def selection_score(metrics: dict[str, float]) -> float:
    """What training selects by: the mean of pair accuracy and of the AUROCs that there are."""
    names = ("pair_accuracy", "auroc_original", "auroc_edited", "auroc_labels")
    found = [metrics[name] for name in names if name in metrics]
    return sum(found) / len(found) if found else 0.0


def _pair_metrics(pairs: Sequence[tuple[PairExample, Rewards, Rewards]]) -> dict[str, float]:
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
