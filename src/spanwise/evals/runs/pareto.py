"""Trade-offs as numbers: which settings no other one beats, and how much of the possible a set of settings covers.

On points (rows of values, one column per metric) and on the arms of an experiment, with how often over seeds. How they
are drawn is known elsewhere. Shapes: n settings, m metrics.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spanwise.core import DataError
from spanwise.evals.runs.tradeoff import SettingGroup, TradeOff
from spanwise.evals.statistics import Better, Estimate, ExperimentResults, seed_interval


def front(points: Float[np.ndarray, "n m"], better: Sequence[Better]) -> list[int]:
    """The places of the points that no other point beats: at least as good in all metrics and better in one.

    Equal points are all on the front; a point with a missing value (NaN) is not, and beats none.
    """
    signed = points * _signs(better)
    known = np.isfinite(signed.sum(axis=1, keepdims=True)).reshape(-1)  # a row with a missing value has no sum
    return [
        index
        for index, point in enumerate(signed)
        if known[index] and not any((other >= point).all() and (other > point).any() for other in signed[known])
    ]


def covered(points: Float[np.ndarray, "n m"], *, worst: Sequence[float], best: Sequence[float]) -> float:
    """The share of the box from `worst` to `best` that is no better than one of the points: their hypervolume, 0 to 1.

    A metric improves from its worst to its best value, whichever is the larger; what lies outside counts as the bound.
    """
    low, span = np.array(worst), np.array(best) - np.array(worst)
    if not span.all():
        raise DataError("A metric's worst and best value are the same; give two that differ.")
    reached = np.clip((points[np.isfinite(points).all(axis=1)] - low) / span, 0.0, 1.0)
    return _volume(reached)


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
        FrontRow(arm, index in means, sum(index in seed_front for seed_front in by_seed), len(by_seed))
        for index, arm in enumerate(arms)
    ]


def coverage(results: ExperimentResults, plan: TradeOff) -> list[Coverage]:
    """The volume that each group covers, with Student's interval over seeds; empty where nothing is to be measured."""
    if not plan.measures:
        return []
    volumes = [_volumes(results, plan, group) for group in plan.groups]
    rows: list[Coverage] = []
    for group, by_seed in zip(plan.groups, volumes, strict=True):
        differences = {seed: value - volumes[0][seed] for seed, value in by_seed.items()}
        known = None if group is plan.groups[0] else seed_interval(differences)
        rows.append(Coverage(group.title, seed_interval(by_seed), known))
    return rows


def _signs(better: Sequence[Better]) -> Float[np.ndarray, " m"]:
    if "none" in better:
        raise DataError("A metric of which neither end is better has no front; take one that improves.")
    return np.array([1.0 if way == "higher" else -1.0 for way in better])


def _volume(boxes: Float[np.ndarray, "n m"]) -> float:
    """Volume of the union of the boxes from 0 to each row: slab by slab along the last axis, each slab the same way."""
    if not len(boxes):
        return 0.0
    if boxes.shape[1] == 1:
        return float(boxes.max())
    heights = np.unique(np.append(boxes[:, -1], 0.0))
    slabs = itertools.pairwise(heights.tolist())
    return float(sum((top - bottom) * _volume(boxes[boxes[:, -1] >= top, :-1]) for bottom, top in slabs))


def _volumes(results: ExperimentResults, plan: TradeOff, group: SettingGroup) -> dict[int, float]:
    metrics = [measure.metric for measure in plan.measures]
    worst, best = [measure.worst for measure in plan.measures], [measure.best for measure in plan.measures]
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
        np.array([[_number(per_seed[index] if per_seed else None) for per_seed in row] for row in values])
        for index in range(len(results.seeds))
    ]


def _estimate(results: ExperimentResults, arm: str, metric: str) -> Estimate:
    return results.arms[arm].metrics.get(metric, Estimate(mean=None))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
