"""The report's tables as rows of ready text: a cell that was not measured says so, it is never a 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import yaml

from spanwise.evals.runs import Run
from spanwise.evals.statistics import (
    MISSING,
    Comparison,
    ExperimentResults,
    MetricInfo,
    RewardModelQuality,
    Verdict,
    difference_unit,
    interval,
    number,
    plain,
    with_unit,
)

NOT_RUN = "not run"
QUALITY_LABELS = {
    "accuracy": "Accuracy",
    "majority_accuracy": "Majority class",
    "pair_accuracy": "Pair accuracy",
    "longer_wins": "Longer wins",
    "first_listed_wins": "First-listed wins",
    "error_precision": "Error precision",
    "error_recall": "Error recall",
    "error_f1": "Error F1",
    "auroc": "AUROC",
    "calibration_error": "Calibration error",
    "log_loss": "Log loss",
    "error_share": "Share with error",
    "segments": "Segments",
    "pairs": "Pairs",
    "equal_scores": "Equal scores",
}
"""Usual metrics of a reward model in reading order; others follow under their own names."""
TRIVIAL_RULES = {"accuracy": ("majority_accuracy",), "pair_accuracy": ("longer_wins", "first_listed_wins")}
"""What a head must beat: the shares of cases that rules without a model get right, or wrong."""
COUNTS = ("segments", "pairs", "equal_scores")


@dataclass(frozen=True)
class Cell:
    """A number, its interval below it, and what must be said about it."""

    text: str
    interval: str = ""
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.text not in (NOT_RUN, MISSING)


@dataclass(frozen=True)
class Column:
    """A table column; `arrow` says which way is better."""

    title: str
    unit: str = ""
    arrow: str = ""
    description: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row with its heading; `index` is the arm's place in the legend."""

    title: str
    cells: tuple[Cell, ...]
    note: str = ""
    index: int | None = None


@dataclass(frozen=True)
class Table:
    """Columns and rows."""

    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class DifferenceRow:
    """One comparison of one metric."""

    metric: str
    difference: Cell
    p_value: str
    verdict: Verdict
    basis: str


def metric_column(info: MetricInfo) -> Column:
    """The column of a metric."""
    arrow = {"lower": "lower is better", "higher": "higher is better", "none": ""}[info.better]
    return Column(info.label, info.unit, arrow, info.description)


def arm_table(results: ExperimentResults) -> Table:
    """Arms down, metrics across."""
    columns = tuple(metric_column(info) for info in results.metrics.values())
    rows = tuple(
        TableRow(
            arm.title,
            tuple(_arm_cell(results, name, metric) for metric in results.metrics),
            "; ".join(filter(None, ["a free rival" if name in results.free else "", arm.description])),
            results.places[name],
        )
        for name, arm in results.arms.items()
    )
    return Table(columns, rows)


def difference_rows(results: ExperimentResults, arm: str, baseline: str) -> list[DifferenceRow]:
    """Every metric on which `arm` was compared with `baseline`."""
    return [
        _difference_row(results, comparison)
        for comparison in results.comparisons
        if (comparison.arm, comparison.baseline) == (arm, baseline)
    ]


def quality_tables(heads: Mapping[str, RewardModelQuality]) -> list[Table]:
    """Heads down, measures across, one table for heads that judge segments and one for those that compare pairs."""
    pairs = {head: quality for head, quality in heads.items() if "pair_accuracy" in quality.metrics}
    segments = {head: quality for head, quality in heads.items() if head not in pairs}
    return [_quality_table(group) for group in (segments, pairs) if group]


def config_table(runs: Mapping[str, Sequence[Run]]) -> Table | None:
    """Settings that two arms have and in which they differ; None when there are not two configs to compare.

    The first run of each arm counts. What only one kind of training has (SFT knows no KL) is no difference.
    """
    flat = {arm: _flat(seeds[0].config) for arm, seeds in runs.items() if seeds and seeds[0].config}
    if len(flat) < 2:
        return None
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    differing = [key for key in keys if len({values[key] for values in flat.values() if key in values}) > 1]
    rows = tuple(TableRow(key, tuple(Cell(v.get(key, MISSING)) for v in flat.values())) for key in differing)
    return Table(tuple(Column(arm) for arm in flat), rows)


def _quality_table(heads: Mapping[str, RewardModelQuality]) -> Table:
    present = dict.fromkeys(metric for quality in heads.values() for metric in quality.metrics)
    metrics = [*(name for name in QUALITY_LABELS if name in present), *(n for n in present if n not in QUALITY_LABELS)]
    rows = tuple(
        TableRow(quality.label or head, tuple(_quality_cell(quality, name) for name in metrics), quality.density)
        for head, quality in heads.items()
    )
    return Table(tuple(Column(QUALITY_LABELS.get(name, name.replace("_", " "))) for name in metrics), rows)


def _arm_cell(results: ExperimentResults, arm: str, metric: str) -> Cell:
    info, estimate = results.metrics[metric], results.arms[arm].metrics.get(metric)
    if estimate is None:
        return Cell(NOT_RUN)
    note = f"{estimate.unscored} could not be scored" if estimate.unscored else ""
    if estimate.mean is None:
        return Cell(MISSING, note=note or "nothing to score")
    return Cell(number(estimate.mean, info), interval(estimate, info), note)


def _difference_row(results: ExperimentResults, comparison: Comparison) -> DifferenceRow:
    info, difference = results.metrics[comparison.metric], comparison.difference
    text = with_unit(number(difference.mean, info, signed=True), difference_unit(info))
    note = f"{difference.unscored} pairs could not be scored" if difference.unscored else ""
    basis = f"{difference.n:,} x {difference.seeds}" if difference.seeds > 1 else f"{difference.n:,}"
    cell = Cell(text, interval(difference, info, signed=True), note)
    return DifferenceRow(info.label, cell, _p_value(comparison.p_value), comparison.verdict, basis)


def _p_value(value: float | None) -> str:
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _quality_cell(quality: RewardModelQuality, name: str) -> Cell:
    value = quality.metrics.get(name)
    if value is None:
        return Cell(NOT_RUN)
    shares = [share for rule in TRIVIAL_RULES.get(name, ()) if (share := quality.metrics.get(rule)) is not None]
    beaten = not shares or value > max(max(share, 1 - share) for share in shares)
    whole = value.is_integer() and name not in TRIVIAL_RULES and (abs(value) > 1 or name in COUNTS)
    text = f"{value:,.0f}" if whole else f"{value:.3f}" if abs(value) < 100 else plain(value)
    return Cell(text, note="" if beaten else "not above a trivial rule")


def _flat(text: str) -> dict[str, str]:
    """Dotted keys and values of a config; empty when it is not YAML of sections and values."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:  # the config is shown as text in any case
        return {}
    return dict(_leaves(cast("dict[str, Any]", values), "")) if isinstance(values, dict) else {}


def _leaves(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    leaves: list[tuple[str, str]] = []
    for key, value in values.items():
        leaves += (
            _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [(f"{prefix}{key}", str(value))]
        )
    return leaves
