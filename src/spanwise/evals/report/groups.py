"""Plain runs as groups of seeds: what each group measured on held-out prompts in the end, with intervals over seeds.

Runs whose configs differ in seed and folder alone are one group. Knows nothing of prompts: a log holds means alone, so
intervals are Student's over seeds, and a single run has none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import yaml

from spanwise.evals.report.tables import NOT_RUN, Cell, Column, Table, TableRow
from spanwise.evals.runs import Curve, Run
from spanwise.evals.statistics import MISSING, Estimate, plain, seed_interval

MEASURED = ("eval/reward/", "eval/kl/response", "eval/response/", "heldout/")
"""Beginnings of the held-out metrics of a log."""
OF_A_RUN = ("seed", "run_dir", "resume")
"""Fields of a config in which runs of one group may differ."""


@dataclass(frozen=True)
class RunGroup:
    """Runs of one config, by seed."""

    label: str
    runs: Mapping[int, Run]

    @property
    def metrics(self) -> list[str]:
        """Held-out metrics of any run, in the order of the log."""
        return list(dict.fromkeys(key for run in self.runs.values() for key in run.curves if key.startswith(MEASURED)))

    def last(self, metric: str) -> dict[int, float]:
        """The last known value by seed; a seed without one is absent."""
        last_values = {seed: _last(run.curves.get(metric, ())) for seed, run in self.runs.items()}
        return {seed: value for seed, value in last_values.items() if value is not None}

    def estimate(self, metric: str) -> Estimate | None:
        """The mean of the last values with its interval over seeds; None where no run measured it."""
        values = self.last(metric)
        mean = seed_interval(values) if values else None
        return None if mean is None else mean.model_copy(update={"unscored": len(self.runs) - len(values)})

    def less(self, other: "RunGroup", metric: str) -> Estimate | None:
        """The difference to `other` seed by seed; None where they share no seed."""
        values, base = self.last(metric), other.last(metric)
        shared = {seed: values[seed] - base[seed] for seed in values if seed in base}
        return seed_interval(shared) if shared else None


def group_runs(runs: Mapping[str, Run]) -> list[RunGroup]:
    """Runs by label in groups, in the order in which the first of each was given.

    Of two runs with one config and one seed the second begins a group of its own: it is no further seed.
    """
    groups: list[tuple[str, dict[int, str]]] = []
    for label, run in runs.items():
        config, seed = _config(run)
        key = json.dumps(config, sort_keys=True, default=str) if config else label
        fitting = next(
            (labels_by_seed for known, labels_by_seed in groups if known == key and seed not in labels_by_seed), None
        )
        if fitting is None:
            groups.append((key, {seed: label}))
        else:
            fitting[seed] = label
    return [
        RunGroup(_label(list(labels.values())), {seed: runs[label] for seed, label in sorted(labels.items())})
        for _, labels in groups
    ]


def group_table(groups: Sequence[RunGroup]) -> Table | None:
    """Groups down, held-out metrics across; None where nothing was measured."""
    metrics = list(dict.fromkeys(metric for group in groups for metric in group.metrics))
    columns = tuple(Column(_title(metric)) for metric in metrics)
    rows = tuple(
        TableRow(group.label, tuple(_cell(group.estimate(metric)) for metric in metrics), _seeds(group))
        for group in groups
    )
    return Table(columns, rows) if metrics else None


def difference_table(groups: Sequence[RunGroup]) -> Table | None:
    """Each later group less the first, seed by seed; None where no two groups share a seed."""
    first, *others = groups
    metrics = [metric for metric in first.metrics if any(group.less(first, metric) for group in others)]
    rows = tuple(
        TableRow(f"{group.label} less {first.label}", tuple(_cell(group.less(first, metric)) for metric in metrics))
        for group in others
    )
    return Table(tuple(Column(_title(metric)) for metric in metrics), rows) if metrics else None


def _title(metric: str) -> str:
    """The metric's name, with room for a line break."""
    return metric.removeprefix("eval/").replace("/", " ")


def _last(curve: Curve) -> float | None:
    return next((value for _, value in reversed(curve) if value is not None), None)


def _config(run: Run) -> tuple[dict[str, Any], int]:
    """The config without what names the run, and its seed."""
    try:
        values = yaml.safe_load(run.config) if run.config else None
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        return {}, 0
    known = cast("dict[str, Any]", values)
    seed = known.get("seed")
    kept = {key: value for key, value in known.items() if key not in OF_A_RUN}
    return kept, seed if isinstance(seed, int) else 0


def _label(labels: Sequence[str]) -> str:
    """One name for runs such as `short/seed-0` and `short/seed-1`; else all their names."""
    parents = {label.rpartition("/")[0] for label in labels}
    common = next(iter(parents))
    return common if len(labels) > 1 and len(parents) == 1 and common else ", ".join(labels)


def _seeds(group: RunGroup) -> str:
    return f"{len(group.runs)} seed{'s' if len(group.runs) > 1 else ''} ({', '.join(map(str, group.runs))})"


def _cell(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(NOT_RUN)
    note = f"{estimate.unscored} of the seeds without a value" if estimate.unscored else ""
    ends = "" if estimate.low is None else f"[{plain(estimate.low)}, {plain(estimate.high)}]"
    return Cell(MISSING if estimate.mean is None else plain(estimate.mean), ends, note)
