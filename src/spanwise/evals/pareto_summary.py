"""What a trade-off says in numbers: who is on the front, in how many seeds, and how much each group covers.

Reads estimates of `ExperimentResults` with their values per seed; knows nothing of files and of pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spanwise.evals.estimate import Estimate
from spanwise.evals.pareto import covered, front
from spanwise.evals.pareto_layout import SettingGroup, TradeOff
from spanwise.evals.results import Better, ExperimentResults
from spanwise.evals.stats import seed_interval


@dataclass(frozen=True)
class FrontRow:
    """One setting: whether no other beats it in the means, and in how many of the seeds."""

    arm: str
    on_front: bool
    seeds_on_front: int
    seeds: int


@dataclass(frozen=True)
class Coverage:
    """How much of the possible one group covers, and how that differs from the first group's, seed by seed."""

    title: str
    volume: Estimate
    difference: Estimate | None


def front_rows(results: ExperimentResults, arms: Sequence[str], metrics: Sequence[str]) -> list[FrontRow]:
    """The front among `arms` in all of `metrics` at once; a metric of which neither end is better does not count.

    With no metric left, no setting beats another.
    """
    metrics = [metric for metric in metrics if results.metrics[metric].better != "none"]
    better: list[Better] = [results.metrics[metric].better for metric in metrics]
    means = front(_means(results, arms, metrics), better)
    by_seed = [front(points, better) for points in _by_seed(results, arms, metrics)]
    return [
        FrontRow(arm, place in means, sum(place in own for own in by_seed), len(by_seed))
        for place, arm in enumerate(arms)
    ]


def coverage(results: ExperimentResults, plan: TradeOff) -> list[Coverage]:
    """The volume that each group covers, with Student's interval over seeds; empty where nothing is to be measured."""
    if not plan.measures:
        return []
    volumes = [_volumes(results, plan, group) for group in plan.groups]
    rows: list[Coverage] = []
    for group, own in zip(plan.groups, volumes, strict=True):
        differences = {seed: value - volumes[0][seed] for seed, value in own.items()}
        known = None if group is plan.groups[0] else seed_interval(differences)
        rows.append(Coverage(group.title, seed_interval(own), known))
    return rows


def _volumes(results: ExperimentResults, plan: TradeOff, group: SettingGroup) -> dict[int, float]:
    metrics = [one.metric for one in plan.measures]
    worst, best = [one.worst for one in plan.measures], [one.best for one in plan.measures]
    tables = _by_seed(results, group.arms, metrics)
    return {seed: covered(points, worst=worst, best=best) for seed, points in zip(results.seeds, tables, strict=True)}


def _means(results: ExperimentResults, arms: Sequence[str], metrics: Sequence[str]) -> Float[np.ndarray, "n m"]:
    return np.array([[_number(_estimate(results, arm, metric).mean) for metric in metrics] for arm in arms])


def _by_seed(results: ExperimentResults, arms: Sequence[str], metrics: Sequence[str]) -> list[Float[np.ndarray, "n m"]]:
    """One table of points per seed; with one seed that is the table of the means."""
    if len(results.seeds) == 1:
        return [_means(results, arms, metrics)]
    values = [[_estimate(results, arm, metric).per_seed for metric in metrics] for arm in arms]
    return [
        np.array([[_number(own[place] if own else None) for own in row] for row in values])
        for place in range(len(results.seeds))
    ]


def _estimate(results: ExperimentResults, arm: str, metric: str) -> Estimate:
    return results.arms[arm].metrics.get(metric, Estimate(mean=None))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
