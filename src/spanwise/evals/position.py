"""Does a judge prefer what it reads first? Estimated from pairs that it judged in both orders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spanwise.evals.pairwise import Share
from spanwise.evals.score_table import ScoreTable
from spanwise.evals.stats import estimate
from spanwise.scores import Unscored


@dataclass(frozen=True)
class PositionBias:
    """How a judge treats order, over the pairs decided in both orders."""

    n: int
    first_preferred: float | None
    """Mean share that the answer shown first got, both orders together: 0.5 is fair, 1 always takes the first."""
    low: float | None
    high: float | None
    """Ends of its bootstrap interval over pairs."""
    consistent: float | None
    """Share of pairs whose winner is the same in both orders."""


def position_bias(both: Mapping[str, tuple[Share, Share]], *, generator: np.random.Generator) -> PositionBias:
    """`both` has per pair the model's share when it was shown second and when it was shown first."""
    known = {
        key: (second, first)
        for key, (second, first) in both.items()
        if not isinstance(second, Unscored) and not isinstance(first, Unscored)
    }
    if not known:
        return PositionBias(0, None, None, None, None)
    table = ScoreTable.from_values({key: (first + 1 - second) / 2 for key, (second, first) in known.items()})
    found = estimate(table, generator=generator)
    same = [np.sign(second - 0.5) == np.sign(first - 0.5) for second, first in known.values()]
    return PositionBias(len(known), found.mean, found.low, found.high, float(np.mean(same)))
