"""Krippendorff's alpha: agreement of any number of coders, with missing values, beyond what chance gives.

alpha = 1 - observed / expected disagreement over the coincidences of values (Krippendorff 2011, "Computing
Krippendorff's Alpha-Reliability"). Coincidences add up, so items are pooled by adding their matrices, and resampled
by weighting them. Undefined is None with a reason, never 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spanwise.seeding import numpy_generator

Level = Literal["nominal", "ordinal", "interval"]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alpha:
    """An alpha with its 95 % interval over items; `value` is None where it is not defined, and `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    units: int
    """Units that at least two coders judged."""
    reason: str = ""


def coincidences(units: Sequence[Sequence[int | None]], size: int) -> Matrix:
    """The coincidence matrix of units, each the values of its coders: numbers below `size`, or None."""
    matrix = np.zeros((size, size))
    for unit in units:
        counts = np.bincount([value for value in unit if value is not None], minlength=size).astype(float)
        coders = counts.sum()
        if coders >= 2:
            matrix += (np.outer(counts, counts) - np.diag(counts)) / (coders - 1)
    return matrix


def alpha(matrix: Matrix, level: Level = "nominal") -> float | None:
    """Alpha of a coincidence matrix; None when nothing was judged twice or all values are one."""
    (value,) = _alphas(matrix[None], level)
    return None if np.isnan(value) else float(value)


def pooled_alpha(
    by_item: Sequence[Matrix], units: int, *, level: Level = "nominal", resamples: int = 1000, seed: int = 0
) -> Alpha:
    """Alpha of all items together, with a bootstrap interval over items."""
    if not by_item or units == 0:
        return Alpha(None, None, None, units, "nobody judged the same thing as somebody else")
    stack = np.stack(by_item)
    value = alpha(stack.sum(axis=0), level)
    if value is None:
        return Alpha(None, None, None, units, "all judgements are the same, so chance cannot be told from agreement")
    random = numpy_generator(seed, "agreement/bootstrap")
    weights = random.multinomial(len(stack), np.full(len(stack), 1 / len(stack)), size=resamples).astype(float)
    sampled = _alphas(np.tensordot(weights, stack, axes=1), level)
    known = sampled[~np.isnan(sampled)]
    low, high = (float(q) for q in np.quantile(known, [0.025, 0.975])) if len(known) else (value, value)
    return Alpha(value, low, high, units)


def _alphas(matrices: Matrix, level: Level) -> Matrix:
    """Alphas of a stack of coincidence matrices; NaN where there is none."""
    totals = matrices.sum(axis=2)
    n = totals.sum(axis=1)
    distance = _distances(totals, level)
    observed = (matrices * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)


def _distances(totals: Matrix, level: Level) -> Matrix:
    """Squared differences between values; ordinal ones depend on how often the values between occur."""
    count, size = totals.shape
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(size), (count, size, size))
    if level == "interval":
        values = np.arange(size)
        return np.broadcast_to((values[:, None] - values[None, :]) ** 2.0, (count, size, size))
    places = np.cumsum(totals, axis=1) - totals / 2
    return (places[:, :, None] - places[:, None, :]) ** 2
