"""The report's plots, one small function each: numbers in, a figure out. `svg.inline_svg` puts them on the page.

Nothing here reads files or decides what is shown. A missing value leaves a gap, never a zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spanwise.evals.report.svg import (
    BAD,
    GOOD,
    INK,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    panel,
    series_style,
    shortened,
    thinned,
)
from spanwise.evals.runs import Curve
from spanwise.evals.statistics import Estimate, MetricInfo, ReliabilityBin, Verdict, difference_unit, scale


@dataclass(frozen=True)
class Line:
    """The curves of one arm, one per seed; `index` is the arm's place in the legend."""

    index: int
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Row:
    """One row of an interval plot; an estimate of None is written as not run."""

    label: str
    estimate: Estimate | None
    verdict: Verdict | None = None
    index: int = 0


def curve_plot(lines: Sequence[Line]) -> Figure:
    """A quantity over training steps: each arm's mean over seeds, with its seeds as thin lines behind it."""
    figure, axes = panel()
    for line in lines:
        style = series_style(line.index)
        if len(line.curves) > 1:
            for curve in line.curves:
                axes.plot(*_xy(curve), color=style["color"], linewidth=0.8, alpha=0.3)
        steps, values = _xy(mean_curve(line.curves))
        marker = "o" if sum(map(math.isfinite, values)) < 2 else None
        axes.plot(steps, values, linewidth=1.9, marker=marker, markersize=5, **style)  # type: ignore[arg-type]
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("step", color=MUTED, fontsize=11)
    return figure


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over the curves that have a value at a step; None where none has."""
    values: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in curve:
            values.setdefault(step, []).extend([] if value is None else [value])
    return tuple((step, sum(at_step) / len(at_step) if at_step else None) for step, at_step in sorted(values.items()))


def estimates_plot(rows: Sequence[Row], info: MetricInfo) -> Figure:
    """Each arm's mean with its interval; small dots are its seeds."""
    figure, axes = _rows_panel(rows, info.unit)
    for height, row in _placed(axes, rows):
        if row.estimate is None or row.estimate.mean is None:
            continue
        colour = SERIES[row.index % len(SERIES)]
        _interval(axes, height, row.estimate, info, colour=colour, filled=True)
        seeds = [value * scale(info) for value in row.estimate.per_seed if value is not None]
        axes.plot(seeds, [height] * len(seeds), "o", color=colour, markersize=3.5, alpha=0.45, zorder=2)
    return figure


def differences_plot(rows: Sequence[Row], info: MetricInfo) -> Figure:
    """Differences with intervals around a zero line; filled where the interval excludes zero."""
    figure, axes = _rows_panel(rows, difference_unit(info))
    axes.axvline(0, color=INK, linewidth=1)
    colours = {"better": GOOD, "worse": BAD}
    for height, row in _placed(axes, rows):
        if row.estimate is not None and row.estimate.mean is not None:
            clear = row.verdict not in ("no clear difference", "not known")
            colour = colours.get(row.verdict or "", INK if clear else MUTED)
            _interval(axes, height, row.estimate, info, colour=colour, filled=clear)
    _include_zero(axes)
    if info.better != "none":
        left = info.better == "lower"
        text = "\N{LEFTWARDS ARROW} better" if left else "better \N{RIGHTWARDS ARROW}"
        height, align = (0.0, "left") if left else (1.0, "right")
        axes.text(height, 1.0, text, transform=axes.transAxes, ha=align, va="bottom", color=MUTED, fontsize=11)
    return figure


def reliability_plot(bins: Sequence[ReliabilityBin]) -> Figure:
    """Predicted probability against how often it was right; a point's area is its share of the data."""
    figure, axes = panel(3.2, 3.0)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    used = [bin_ for bin_ in bins if bin_.count]
    largest = max((bin_.count for bin_ in used), default=1)
    x, y = [bin_.confidence for bin_ in used], [bin_.accuracy for bin_ in used]
    axes.plot(x, y, linewidth=1.5, color=SERIES[1])
    axes.scatter(x, y, s=[15 + 65 * bin_.count / largest for bin_ in used], color=SERIES[1], zorder=3)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set_xlabel("predicted probability", color=MUTED, fontsize=11)
    axes.set_ylabel("share that was so", color=MUTED, fontsize=11)
    return figure


def _rows_panel(rows: Sequence[Row], unit: str) -> tuple[Figure, Axes]:
    """A plot with one labelled band per row; labels stand above their interval so that they may be long."""
    figure, axes = panel(4.6, 0.75 + 0.46 * len(rows))
    axes.set_ylim(len(rows) - 0.35, -0.75)
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if unit:
        axes.set_xlabel(unit, color=MUTED, fontsize=11)
    return figure, axes


def _placed(axes: Axes, rows: Sequence[Row]) -> list[tuple[float, Row]]:
    for height, row in enumerate(rows):
        known = row.estimate is not None and row.estimate.mean is not None
        text = shortened(row.label, 46) + ("" if known else " \N{EN DASH} not run")
        axes.text(
            0.0,
            height - 0.22,
            text,
            transform=axes.get_yaxis_transform(),
            color=INK if known else MUTED,
            fontsize=11,
            va="bottom",
            parse_math=False,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
            zorder=4,
        )
        axes.axhline(height, color=RULE, linewidth=0.7)
    return [(float(height), row) for height, row in enumerate(rows)]


def _interval(axes: Axes, height: float, estimate: Estimate, info: MetricInfo, *, colour: str, filled: bool) -> None:
    factor = scale(info)
    if estimate.low is not None and estimate.high is not None:
        axes.plot(
            [estimate.low * factor, estimate.high * factor], [height, height], color=colour, linewidth=2.4, zorder=3
        )
    face = colour if filled else PAPER
    mean = (estimate.mean or 0.0) * factor
    axes.plot([mean], [height], "o", color=colour, markerfacecolor=face, markersize=7.5, markeredgewidth=1.8, zorder=5)


def _include_zero(axes: Axes) -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.04 * (high - low)), max(high, 0.04 * (high - low)))


def _xy(curve: Curve) -> tuple[list[float], list[float]]:
    points = thinned(curve)
    return [step for step, _ in points], [math.nan if value is None else value for _, value in points]
