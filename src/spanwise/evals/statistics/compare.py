"""From score tables of several arms to the estimates and comparisons that `ExperimentResults` holds.

Each estimate draws from its own generator, named after what it estimates, so that adding an arm or a metric changes
no other number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from spanwise.core import numpy_generator
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.intervals import LEVEL, RESAMPLES, estimate, paired_difference, permutation_p_value
from spanwise.evals.statistics.results import Comparison, MetricInfo
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.evals.statistics.verdicts import hardest_rival, judge

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
    rivals: Mapping[str, Sequence[str]] = MappingProxyType({}),
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[Comparison, ...]:
    """One Comparison per (arm, baseline) pair and metric that both ran, in the order of `pairs` and `metrics`.

    `rivals` are the free rivals of each arm, arms of `tables` too: without them no arm is better, only "not held".
    """
    maker = _Comparer(tables, metrics, rivals, seed, resamples, level)
    return tuple(
        maker.compare(arm, baseline, metric)
        for arm, baseline in pairs
        for metric in metrics
        if metric in tables[arm] and metric in tables[baseline]
    )


@dataclass(frozen=True)
class _Comparer:
    tables: ArmTables
    metrics: Mapping[str, MetricInfo]
    rivals: Mapping[str, Sequence[str]]
    seed: int
    resamples: int
    level: float

    def compare(self, arm: str, baseline: str, metric: str) -> Comparison:
        difference, better = self.difference(arm, baseline, metric), self.metrics[metric].better
        own = [rival for rival in self.rivals.get(arm, ()) if rival != arm and metric in self.tables[rival]]
        held = {rival: self.difference(arm, rival, metric) for rival in own if better != "none"}
        free = any(arm in names for names in self.rivals.values())
        hardest = hardest_rival(held.values(), better)
        return Comparison(
            arm=arm,
            baseline=baseline,
            metric=metric,
            difference=difference,
            p_value=permutation_p_value(
                self.tables[arm][metric],
                self.tables[baseline][metric],
                generator=numpy_generator(self.seed, f"permutation/{arm}/{baseline}/{metric}"),
                resamples=self.resamples,
            ),
            verdict=judge(difference, better, held.values(), free=free),
            rival=arm if free else next((name for name, one in held.items() if one is hardest), ""),
            rival_difference=None if free else hardest,
        )

    def difference(self, arm: str, baseline: str, metric: str) -> Estimate:
        return paired_difference(
            self.tables[arm][metric],
            self.tables[baseline][metric],
            generator=numpy_generator(self.seed, f"difference/{arm}/{baseline}/{metric}"),
            resamples=self.resamples,
            level=self.level,
        )
