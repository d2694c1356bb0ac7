"""How a quantity is spread over a file: the five numbers that the statistics quote.

They follow from how often each value occurs, so a file of any size needs no more memory than its different values.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation (of the population), median, 90th percentile (a value that occurs) and maximum."""

    mean: float
    sd: float
    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """The spread of `values`, or None when there are none; a Counter says how often each value occurs."""
        counts = sorted((values if isinstance(values, Counter) else Counter(values)).items())
        if not counts:
            return None
        number = sum(times for _, times in counts)
        mean = math.fsum(value * times for value, times in counts) / number
        variance = math.fsum((value - mean) ** 2 * times for value, times in counts) / number
        middle = (_at(counts, (number + 1) // 2) + _at(counts, number // 2 + 1)) / 2
        return cls(mean, math.sqrt(variance), middle, _at(counts, -(-9 * number // 10)), float(counts[-1][0]))


def _at(counts: Sequence[tuple[float, int]], rank: int) -> float:
    """The value that stands at a rank, counted from 1, when all are put in order."""
    reached = 0
    for value, times in counts:
        reached += times
        if reached >= rank:
            return float(value)
    raise IndexError(rank)


def share(part: float, whole: float) -> float | None:
    """`part / whole`, or None when there is no whole."""
    return part / whole if whole else None
