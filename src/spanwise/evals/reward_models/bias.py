"""What a reward model's scores go with besides quality: length, position, and the other heads.

Each figure stands beside the same figure of the labels, since people prefer longer answers too: a bias is what the
scores show beyond the labels. Pure numbers; `cases.py` collects them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

MIN_CASES = 3
"""Fewer have no rank correlation."""


@dataclass(frozen=True, slots=True)
class SegmentCase:
    """One labelled segment: its score, whether it is right, its words, and where it begins in the response, 0 to 1."""

    score: float
    right: bool
    words: int
    place: float


@dataclass(frozen=True, slots=True)
class PairCase:
    """One decided pair: the scores of the better and the worse response, their words, and which was listed first."""

    better: float
    worse: float
    better_words: int
    worse_words: int
    better_first: bool | None = None


@dataclass
class HeadCases:
    """Everything one head said about labelled feedback."""

    segments: list[SegmentCase] = field(default_factory=list[SegmentCase])
    pairs: list[PairCase] = field(default_factory=list[PairCase])


def head_bias(cases: HeadCases) -> dict[str, float]:
    """The figures that the cases allow; a rank correlation of what never varies is left out."""
    return {**_segment_bias(cases.segments), **_pair_bias(cases.pairs)}


def _segment_bias(cases: Sequence[SegmentCase]) -> dict[str, float]:
    scores, right = [case.score for case in cases], [float(case.right) for case in cases]
    words, places = [float(case.words) for case in cases], [case.place for case in cases]
    wanted = {
        "length_correlation": (scores, words),
        "label_length_correlation": (right, words),
        "position_correlation": (scores, places),
        "label_position_correlation": (right, places),
    }
    correlations = {name: rank_correlation(*pair) for name, pair in wanted.items()}
    return {name: value for name, value in correlations.items() if value is not None}


def _pair_bias(cases: Sequence[PairCase]) -> dict[str, float]:
    longer_better = [case for case in cases if case.better_words > case.worse_words]
    longer_worse = [case for case in cases if case.better_words < case.worse_words]
    first, second = ([c for c in cases if c.better_first is flag] for flag in (True, False))
    shares = {
        "accuracy_longer_better": _accuracy(longer_better),
        "accuracy_shorter_better": _accuracy(longer_worse),
        "prefers_longer": _prefers(longer_better, longer_worse),
        "label_prefers_longer": _share(longer_better, longer_worse),
        "prefers_first_listed": _prefers(first, second),
        "label_prefers_first_listed": _share(first, second),
    }
    return {name: value for name, value in shares.items() if value is not None}


def agreement(scores: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Rank correlation of every two heads over the responses that both scored, keyed "first / second"."""
    correlations: dict[str, float] = {}
    for first, second in combinations(scores, 2):
        both = [(x, y) for x, y in zip(scores[first], scores[second], strict=True) if x is not None and y is not None]
        value = rank_correlation([x for x, _ in both], [y for _, y in both])
        if value is not None:
            correlations[f"{first} / {second}"] = value
    return correlations


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None where one side does not vary or there are fewer than three cases."""
    if len(x) < MIN_CASES or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _right(case: PairCase) -> float:
    return 0.5 if case.better == case.worse else float(case.better > case.worse)


def _accuracy(cases: Sequence[PairCase]) -> float | None:
    return sum(map(_right, cases)) / len(cases) if cases else None


def _prefers(when_right: Sequence[PairCase], when_wrong: Sequence[PairCase]) -> float | None:
    """How often the scores prefer the side that is right in the first cases and wrong in the second."""
    count = len(when_right) + len(when_wrong)
    return (sum(map(_right, when_right)) + sum(1 - _right(case) for case in when_wrong)) / count if count else None


def _share(first: Sequence[PairCase], second: Sequence[PairCase]) -> float | None:
    return len(first) / (len(first) + len(second)) if first or second else None
