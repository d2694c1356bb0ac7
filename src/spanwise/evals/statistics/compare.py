"""From score tables of several arms to the estimates and comparisons that `ExperimentResults` holds.

Each estimate draws from its own generator, named after what it estimates, so that adding an arm or a metric changes
no other number.
"""

from collections.abc import Mapping, Sequence

from spanwise.core import numpy_generator
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.intervals import LEVEL, RESAMPLES, estimate, paired_difference, permutation_p_value
from spanwise.evals.statistics.results import Comparison, MetricInfo, judge
from spanwise.evals.statistics.score_table import ScoreTable

ArmTables = Mapping[str, Mapping[str, ScoreTable]]
"""Score tables by arm and metric; a metric that an arm lacks was not run."""


def arm_estimates(
    tables: Mapping[str, ScoreTable], *, arm: str, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> dict[str, Estimate]:
    """The estimate of every metric of one arm."""
    return {
        metric: estimate(
            table,
            generator=numpy_generator(seed, f"estimate/{arm}/{metric}"),
            resamples=resamples,
            level=level,
        )
        for metric, table in tables.items()
    }


def compare_arms(
    tables: ArmTables,
    metrics: Mapping[str, MetricInfo],
    pairs: Sequence[tuple[str, str]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[Comparison, ...]:
    """One Comparison per (arm, baseline) pair and metric that both ran, in the order of `pairs` and `metrics`."""
    return tuple(
        _compare(tables, metrics[metric], (arm, baseline, metric), seed=seed, resamples=resamples, level=level)
        for arm, baseline in pairs
        for metric in metrics
        if metric in tables[arm] and metric in tables[baseline]
    )


def _compare(
    tables: ArmTables, info: MetricInfo, names: tuple[str, str, str], *, seed: int, resamples: int, level: float
) -> Comparison:
    arm, baseline, metric = names
    first, second = tables[arm][metric], tables[baseline][metric]
    purpose_key = f"{arm}/{baseline}/{metric}"
    bootstrap, permutation = (
        numpy_generator(seed, f"{purpose}/{purpose_key}") for purpose in ("difference", "permutation")
    )
    difference = paired_difference(first, second, generator=bootstrap, resamples=resamples, level=level)
    p_value = permutation_p_value(first, second, generator=permutation, resamples=resamples)
    return Comparison(
        arm=arm,
        baseline=baseline,
        metric=metric,
        difference=difference,
        p_value=p_value,
        verdict=judge(difference, info.better),
    )
