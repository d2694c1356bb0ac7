"""How a quantity is spread over a file: the five numbers that the statistics quote."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation (of the population), median, 90th percentile (a value that occurs) and maximum."""

    mean: float
    sd: float
    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """The spread of `values`, or None when there are none."""
        if not values:
            return None
        numbers = np.asarray(values, dtype=float)
        p90 = np.percentile(numbers, 90, method="inverted_cdf")
        return cls(*(float(x) for x in (numbers.mean(), numbers.std(), np.median(numbers), p90, numbers.max())))


def share(part: float, whole: float) -> float | None:
    """`part / whole`, or None when there is no whole."""
    return part / whole if whole else None
