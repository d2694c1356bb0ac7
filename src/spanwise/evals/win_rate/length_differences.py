"""How two models' length-controlled win rates differ on the prompts that both were judged on.

Each model has a length control of its own, fitted anew for every draw of instructions; both see the same draws, so that
what they share cancels in the interval. Knows nothing of files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spanwise.core import numpy_generator
from spanwise.evals.statistics import Judgements, common
from spanwise.evals.win_rate.length_control import length_controlled, percentile_ends
from spanwise.evals.win_rate.length_weights import LengthWeights


@dataclass(frozen=True)
class LengthDifference:
    """Rates in per cent, the difference in points, over the prompts that were decided for both."""

    prompts: int
    arm: float
    baseline: float
    difference: float
    low: float | None
    high: float | None
    methods: tuple[str, str]
    """How each model's length control was had."""
    with_difficulty: bool
    left_out: int
    """Shared prompts without a difficulty."""


def length_difference(
    arm: Judgements,
    baseline: Judgements,
    *,
    seed: int = 0,
    resamples: int = 500,
    weights: Mapping[str, LengthWeights] | None = None,
    difficulty: Mapping[str, float] | None = None,
) -> LengthDifference | None:
    """Arm less baseline; None where fewer than two prompts were decided for both."""
    first, second = common(arm, baseline)
    both = first.scored & second.scored
    if int(both.sum()) < 2:
        return None
    pairs = [
        tuple(pair for pair, kept in zip(judgements.pairs, both, strict=True) if kept) for judgements in (first, second)
    ]
    (controlled, one_drawn), (other, other_drawn) = (
        length_controlled(
            replace(judgements, pairs=kept),
            generator=numpy_generator(seed, "length difference"),
            weights=weights,
            names=(judgements.model,),
            difficulty=difficulty,
            resamples=resamples,
        )
        for judgements, kept in zip((first, second), pairs, strict=True)
    )
    low, high = percentile_ends(one_drawn - other_drawn, 0.95)
    return LengthDifference(
        prompts=len(pairs[0]) - controlled.left_out,
        arm=controlled.win_rate,
        baseline=other.win_rate,
        difference=controlled.win_rate - other.win_rate,
        low=low,
        high=high,
        methods=(controlled.method, other.method),
        with_difficulty=controlled.with_difficulty,
        left_out=controlled.left_out,
    )
