"""Two models that were judged against one reference on the same prompts: is one better, and would more prompts tell?

Knows nothing of files. Wins are paired by instruction, so that what both models find hard cancels.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spanwise.evals.statistics import (
    Comparison,
    Judgements,
    MetricInfo,
    common,
    compare_arms,
    power_of,
    prompts_needed,
    sign_test,
)

WIN_RATE = MetricInfo(label="Win rate", unit="%", better="higher", digits=2, description="Share of preferred answers.")


@dataclass(frozen=True)
class JudgedComparison:
    """`arm` against `baseline`, in points of win rate over the prompts that both were judged on."""

    arm: str
    baseline: str
    prompts: int
    """Shared prompts that were decided for both."""
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    """Two-sided, of the permutation test that swaps the models prompt by prompt."""
    sign_p_value: float
    """Two-sided, of the exact test on how often each is ahead."""
    verdict: str
    correlation: float | None
    """Of the two models' shares over prompts; what pairing saves."""
    deviation: float
    """Standard deviation of the paired difference per prompt, in points."""
    prompts_for_2_points: int | None
    power_for_2_points: float
    """The chance that these prompts show a true difference of 2 points."""
    same_answers: float
    """Share of prompts that both answered alike; 1 means one file under two names."""
    only_in_arm: int
    only_in_baseline: int
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare_judged(
    arm: Judgements, baseline: Judgements, *, names: tuple[str, str], seed: int = 0, resamples: int = 2000
) -> JudgedComparison:
    """Compares two models by instruction; raises DataError where they share none."""
    first, second = common(arm, baseline)
    both = first.scored & second.scored
    arm_shares, other = 100 * first.shares[both], 100 * second.shares[both]
    deviation = float((arm_shares - other).std(ddof=1)) if len(arm_shares) > 1 else 0.0
    paired = _estimate(first, second, names, seed=seed, resamples=resamples)
    low, high = paired.difference.low, paired.difference.high
    alike = [mine.answer == theirs.answer for mine, theirs in zip(first.pairs, second.pairs, strict=True)]
    return JudgedComparison(
        arm=names[0],
        baseline=names[1],
        prompts=len(arm_shares),
        difference=float((arm_shares - other).mean()) if len(arm_shares) else 0.0,
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
        p_value=paired.p_value,
        sign_p_value=sign_test(first.table(), second.table()),
        verdict=paired.verdict,
        correlation=_correlation(arm_shares, other),
        deviation=deviation,
        prompts_for_2_points=prompts_needed(deviation, 2.0) if deviation else None,
        power_for_2_points=power_of(max(1, len(arm_shares)), deviation, 2.0),
        same_answers=float(np.mean(alike)),
        only_in_arm=len(arm.pairs) - len(first.pairs),
        only_in_baseline=len(baseline.pairs) - len(second.pairs),
        notes=_notes(first, second, names, float(np.mean(alike))),
    )


def _estimate(
    first: Judgements, second: Judgements, names: tuple[str, str], *, seed: int, resamples: int
) -> Comparison:
    tables = {"arm": {"win_rate": first.table()}, "baseline": {"win_rate": second.table()}}
    metrics = {"win_rate": WIN_RATE}
    return compare_arms(tables, metrics, [("arm", "baseline")], seed=seed, resamples=resamples)[0].model_copy(
        update={"arm": names[0], "baseline": names[1]}
    )


def _correlation(first: np.ndarray, other: np.ndarray) -> float | None:
    varied = len(first) > 1 and float(first.std()) > 0 and float(other.std()) > 0
    return float(np.corrcoef(first, other)[0, 1]) if varied else None


def _notes(first: Judgements, second: Judgements, names: tuple[str, str], alike: float) -> tuple[str, ...]:
    notes: list[str] = []
    if first.judge != second.judge:
        notes.append(f"The judges differ: {first.judge or 'none named'} and {second.judge or 'none named'}.")
    references = sum(mine.reference != theirs.reference for mine, theirs in zip(first.pairs, second.pairs, strict=True))
    if references:
        notes.append(f"The references differ on {references:,} prompts; the win rates are against different answers.")
    if alike > 0.5:
        notes.append(f"{alike:.0%} of the answers of {names[0]} and {names[1]} are the same text.")
    return tuple(notes)
