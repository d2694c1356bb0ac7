"""Fits the linear heads of a reward model whose backbone stays as it is: convex, exact, seconds on one core.

From a few hundred marked answers a ridge-penalised head on frozen states and serving-time features learns more than a
small encoder that is fine-tuned. Inputs are rows of numbers, one per segment or response; a head is weights on those
raw numbers, so that it can be written into a model's output layer. Knows nothing of texts, labels' origin or torch.
Shapes: n rows, p pairs, f inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression

_ORDER_SCALE = 30.0  # the position offset is one number among hundreds of weights: it stays nearly unpenalised


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive inputs that share a prior: `scale` is the spread of each standardised input before the penalty."""

    size: int
    scale: float = 1.0


@dataclass(frozen=True)
class LinearHead:
    """A fitted head; its logit is inputs @ weights + bias. `order_offset` is what the first place is worth."""

    weights: Float[np.ndarray, " f"]
    bias: float
    order_offset: float = 0.0

    def logits(self, inputs: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """One raw logit per row."""
        return inputs @ self.weights + self.bias


def fit_segment_head(
    inputs: Float[np.ndarray, "n f"], correct: Float[np.ndarray, " n"], blocks: Sequence[Block], *, strength: float
) -> LinearHead:
    """A head whose positive logit says that a segment is right; `strength` is the inverse of the ridge penalty.

    `correct` may lie between 0 and 1. Where all is right, or all wrong, the head says no more than that.
    """
    mean, scale = _standard(inputs, blocks)
    if np.all(correct == correct[0]) and correct[0] in (0.0, 1.0):
        odds = np.log(len(correct) + 1.0)  # one more than was seen on the one side, one on the other
        return LinearHead(np.zeros(len(mean)), float(odds if correct[0] else -odds))
    # A segment that is right to a degree counts to that degree as right and to the rest as wrong.
    rows, target = np.tile(np.arange(len(correct)), 2), np.repeat([1, 0], len(correct))
    weight = np.concatenate([correct, 1.0 - correct])
    rows, target, weight = rows[weight > 0], target[weight > 0], weight[weight > 0]
    model = _regression(strength).fit(((inputs - mean) * scale)[rows], target, sample_weight=weight)
    weights = model.coef_[0] * scale
    return LinearHead(weights, float(model.intercept_[0] - mean @ weights))


def fit_pair_head(
    responses: Float[np.ndarray, "n f"],
    better: Int[np.ndarray, " p"],
    worse: Int[np.ndarray, " p"],
    order: Float[np.ndarray, " p"],
    blocks: Sequence[Block],
    *,
    strength: float,
) -> LinearHead:
    """A head that scores the better response of a pair higher; pairs are row numbers of `responses`.

    `order` is +1/-1 where the better/worse one was shown first, 0 = unknown: what the first place is worth is learnt
    apart and is no part of the scores.
    """
    mean, scale = _standard(responses, blocks)
    scaled = (responses - mean) * scale
    gaps = np.column_stack([scaled[better] - scaled[worse], order * _ORDER_SCALE])
    # Each pair once as it is and once turned around: the classes stay balanced whatever was listed first.
    mirrored, target = np.vstack([gaps, -gaps]), np.repeat([1, 0], len(gaps))
    model = _regression(strength / 2, intercept=False).fit(mirrored, target)
    weights = model.coef_[0, :-1] * scale
    return LinearHead(weights, float(-mean @ weights), float(model.coef_[0, -1] * _ORDER_SCALE))


def _regression(strength: float, *, intercept: bool = True) -> LogisticRegression:
    return LogisticRegression(C=strength, fit_intercept=intercept, max_iter=2000, tol=1e-6)


def _standard(
    inputs: Float[np.ndarray, "n f"], blocks: Sequence[Block]
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """Mean of each input, and what to multiply it by; an input that never varies is multiplied by 0."""
    spread = inputs.std(0)
    wanted = np.repeat([block.scale for block in blocks], [block.size for block in blocks])
    varies = spread > 1e-9
    return inputs.mean(0), np.where(varies, wanted / np.where(varies, spread, 1.0), 0.0)
