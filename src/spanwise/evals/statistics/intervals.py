"""Intervals and tests over prompts and seeds: how far a measured mean or difference can be believed.

Shapes: S seeds, P prompts, R resamples. Everything is computed from a `ScoreTable` per arm.

- One seed: percentile bootstrap over prompts. It says nothing of other seeds.
- Several seeds: Student interval around the mean of the seeds' means, whose variance is the variance between seeds
  divided by S plus the bootstrap variance over prompts, with Satterthwaite's degrees of freedom. A percentile
  bootstrap over a handful of seeds is too narrow (docs/guides/evaluation.md has the coverage of both).

This file knows nothing of metrics' names or of files.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Float
from scipy.special import bdtr, stdtrit

from spanwise.core import DataError
from spanwise.evals.statistics.estimates import Estimate, Over
from spanwise.evals.statistics.score_table import ScoreTable, pair_tables

RESAMPLES = 2000
LEVEL = 0.95
_BLOCK = 4_000_000  # numbers held at once while resampling: 32 MB


def estimate(
    scores: ScoreTable, *, generator: np.random.Generator, resamples: int = RESAMPLES, level: float = LEVEL
) -> Estimate:
    """The mean over prompts and seeds with its interval."""
    kept = scores.where(scores.mask)
    drawn = _replicates(lambda weights: _means(kept, weights), len(kept.ids), resamples, generator)
    return _interval(_means(kept, np.ones((1, len(kept.ids))))[0], drawn, kept, unscored=scores.unscored, level=level)


def paired_difference(
    arm: ScoreTable,
    baseline: ScoreTable,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """The mean of arm - baseline with its interval; a prompt counts where both arms were scored."""
    arm, baseline, unscored = pair_tables(arm, baseline)
    drawn = _replicates(lambda weights: _difference(arm, baseline, weights), len(arm.ids), resamples, generator)
    per_seed = _difference(arm, baseline, np.ones((1, len(arm.ids))))[0]
    return _interval(per_seed, drawn, arm, unscored=unscored, level=level)


def permutation_p_value(
    arm: ScoreTable, baseline: ScoreTable, *, generator: np.random.Generator, resamples: int = RESAMPLES
) -> float | None:
    """Two-sided p-value of the test that swaps the two arms prompt by prompt; None when no prompt was scored.

    All seeds of a prompt are swapped together, so that the test is about prompts, given these seeds.
    """
    arm, baseline, _ = pair_tables(arm, baseline)
    if not arm.ids:
        return None
    observed = abs(float(_seed_mean(_difference(arm, baseline, np.ones((1, len(arm.ids)))))[0]))
    swapped = 0
    for size in _blocks(len(arm.ids), resamples):
        keep = generator.integers(0, 2, size=(size, len(arm.ids))).astype(np.float64)
        first = _ratios(_swap(arm.totals, baseline.totals, keep), _swap(arm.counts, baseline.counts, keep))
        second = _ratios(_swap(baseline.totals, arm.totals, keep), _swap(baseline.counts, arm.counts, keep))
        # The margin keeps permutations that equal the observed split from being lost to rounding.
        swapped += int((np.abs(_seed_mean(first - second)) >= observed * (1 - 1e-9) - 1e-12).sum())
    return (swapped + 1) / (resamples + 1)


def sign_test(arm: ScoreTable, baseline: ScoreTable) -> float:
    """Two-sided exact p-value that the arm is above the baseline on as many prompts as below; ties are left out."""
    arm, baseline, _ = pair_tables(arm, baseline)
    differences = _seed_mean((_ratios(arm.totals, arm.counts) - _ratios(baseline.totals, baseline.counts)).T)
    above, below = int((differences > 0).sum()), int((differences < 0).sum())
    return min(1.0, 2 * float(bdtr(min(above, below), above + below, 0.5)))


def seed_interval(means: Mapping[int, float], *, level: float = LEVEL) -> Estimate:
    """Student's interval over per-seed means of whatever has no prompts, such as a training curve's last value."""
    values = np.array(list(means.values()), dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError("A seed's mean is not a finite number; leave out the seed that failed and say so.")
    if len(values) < 2:
        return Estimate(mean=float(values[0]) if len(values) else None, level=level)
    half = float(stdtrit(len(values) - 1, 0.5 + level / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    mean, per_seed = float(values.mean()), tuple(map(float, values))
    return Estimate(
        mean=mean, low=mean - half, high=mean + half, seeds=len(values), per_seed=per_seed, over="seeds", level=level
    )


def _interval(
    per_seed: Float[np.ndarray, " s"], drawn: Float[np.ndarray, " r"], kept: ScoreTable, *, unscored: int, level: float
) -> Estimate:
    means, prompts = per_seed[np.isfinite(per_seed)], len(kept.ids)
    if not len(means):
        return Estimate(mean=None, n=prompts, unscored=unscored, seeds=len(kept.seeds), level=level)
    low, high, over = _ends(means, drawn[np.isfinite(drawn)], prompts, level)
    named = tuple(float(mean) if np.isfinite(mean) else None for mean in per_seed) if len(per_seed) > 1 else ()
    return Estimate(
        mean=float(means.mean()),
        low=low,
        high=high,
        n=prompts,
        unscored=unscored,
        seeds=len(means),
        per_seed=named,
        over=over,
        level=level,
    )


def _ends(
    means: Float[np.ndarray, " s"], drawn: Float[np.ndarray, " r"], prompts: int, level: float
) -> tuple[float | None, float | None, Over]:
    """Both ends of the interval and what varies in it; `drawn` is empty where there is one prompt."""
    if len(means) > 1:
        half = _student_half_width(means, float(drawn.var()) if len(drawn) else 0.0, prompts, level)
        mean = float(means.mean())
        return mean - half, mean + half, "seeds and prompts" if len(drawn) else "seeds"
    if len(drawn):
        low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high), "prompts"
    return None, None, ""


def _student_half_width(means: Float[np.ndarray, " s"], prompt_variance: float, prompts: int, level: float) -> float:
    """Half the interval of the seeds' mean (Satterthwaite 1946): both variances are of the mean, not of one value."""
    seed_variance = float(means.var(ddof=1)) / len(means)
    total = seed_variance + prompt_variance
    if total == 0:
        return 0.0
    spread = seed_variance**2 / (len(means) - 1) + prompt_variance**2 / max(1, prompts - 1)
    return float(stdtrit(total**2 / spread, 0.5 + level / 2)) * math.sqrt(total)


def _means(scores: ScoreTable, weights: Float[np.ndarray, "r p"]) -> Float[np.ndarray, "r s"]:
    """The mean of each seed when each prompt counts as often as its weight says."""
    return _ratios(weights @ scores.totals.T, weights @ scores.counts.T)


def _difference(arm: ScoreTable, baseline: ScoreTable, weights: Float[np.ndarray, "r p"]) -> Float[np.ndarray, "r s"]:
    return _means(arm, weights) - _means(baseline, weights)


def _swap(
    scores: Float[np.ndarray, "s p"], other: Float[np.ndarray, "s p"], keep: Float[np.ndarray, "r p"]
) -> Float[np.ndarray, "r s"]:
    return keep @ scores.T + (1 - keep) @ other.T


def _ratios(totals: Float[np.ndarray, "*d"], counts: Float[np.ndarray, "*d"]) -> Float[np.ndarray, "*d"]:
    """The quotient, NaN where nothing was counted."""
    return np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)


def _seed_mean(table: Float[np.ndarray, "r s"]) -> Float[np.ndarray, " r"]:
    """Mean over the seeds that have a value, NaN where none has."""
    known = np.isfinite(table)
    return _ratios(np.where(known, table, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _replicates(
    statistic: Callable[[Float[np.ndarray, "b p"]], Float[np.ndarray, "b s"]],
    prompts: int,
    resamples: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, " r"]:
    """The seeds' mean of `statistic` for each draw of prompts with replacement; none where there is one prompt."""
    if prompts < 2:
        return np.empty(0)
    drawn: list[Float[np.ndarray, " b"]] = []
    for size in _blocks(prompts, resamples):
        weights = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=size)
        drawn.append(_seed_mean(statistic(weights.astype(np.float64))))
    return np.concatenate(drawn)


def _blocks(prompts: int, resamples: int) -> Iterator[int]:
    block = max(1, _BLOCK // prompts)
    for start in range(0, resamples, block):
        yield min(block, resamples - start)
