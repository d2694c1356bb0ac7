"""Trade-offs as numbers: which settings no other one beats, and how much of the possible a set of settings covers.

Points are rows of values, one column per metric. What the metrics are called, where the values come from and how they
are drawn is known elsewhere. Shapes: n settings, m metrics.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from spanwise.errors import DataError
from spanwise.evals.results import Better


def front(points: Float[np.ndarray, "n m"], better: Sequence[Better]) -> list[int]:
    """The places of the points that no other point beats: at least as good in all metrics and better in one.

    Equal points are all on the front; a point with a missing value (NaN) is not, and beats none.
    """
    signed = points * _signs(better)
    known = np.isfinite(signed.sum(axis=1, keepdims=True)).reshape(-1)  # a row with a missing value has no sum
    return [
        place
        for place, own in enumerate(signed)
        if known[place] and not any((other >= own).all() and (other > own).any() for other in signed[known])
    ]


def covered(points: Float[np.ndarray, "n m"], *, worst: Sequence[float], best: Sequence[float]) -> float:
    """The share of the box from `worst` to `best` that is no better than one of the points: their hypervolume, 0 to 1.

    A metric improves from its worst to its best value, whichever is the larger; what lies outside counts as the bound.
    """
    low, span = np.array(worst), np.array(best) - np.array(worst)
    if not span.all():
        raise DataError("A metric's worst and best value are the same; give two that differ.")
    reached = np.clip((points[np.isfinite(points).all(axis=1)] - low) / span, 0.0, 1.0)
    return _volume(reached)


def _signs(better: Sequence[Better]) -> Float[np.ndarray, " m"]:
    if "none" in better:
        raise DataError("A metric of which neither end is better has no front; take one that improves.")
    return np.array([1.0 if way == "higher" else -1.0 for way in better])


def _volume(boxes: Float[np.ndarray, "n m"]) -> float:
    """Volume of the union of the boxes from 0 to each row: slab by slab along the last axis, each slab the same way."""
    if not len(boxes):
        return 0.0
    if boxes.shape[1] == 1:
        return float(boxes.max())
    heights = np.unique(np.append(boxes[:, -1], 0.0))
    slabs = itertools.pairwise(heights.tolist())
    return float(sum((top - bottom) * _volume(boxes[boxes[:, -1] >= top, :-1]) for bottom, top in slabs))
