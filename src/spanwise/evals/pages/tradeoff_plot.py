"""The picture of a trade-off: settings as points with both intervals, each group joined along its dial, and its front.

The labels stand in a column beside the plot, where they cannot hide a point, each joined to its point by a thin line.
Numbers in, a figure out; `svg.inline_svg` puts it on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from spanwise.evals.report import MUTED, PAPER, panel, series_style, shortened
from spanwise.evals.runs import front
from spanwise.evals.statistics import Estimate, MetricInfo, scale

_COLUMN = 1.05
"""Where the labels begin, in widths of the axes."""
_LINE = 12.0
"""Height of a line of labels, in points of type."""


@dataclass(frozen=True)
class PlacedSetting:
    """One setting in the plane of two metrics; `label` is its position on the dial."""

    label: str
    x: Estimate
    y: Estimate


def trade_off_plot(groups: Sequence[Sequence[PlacedSetting]], x: MetricInfo, y: MetricInfo) -> Figure:
    """Every group in its colour; a filled point is on the front of all settings, a hollow one is beaten.

    A metric of which neither end is better beats nobody.
    """
    everyone = [setting for group in groups for setting in group]
    figure, axes = panel(4.6, max(3.6, 0.9 + len(everyone) * _LINE / 72))
    points = np.array([[_mean(setting.x), _mean(setting.y)] for setting in everyone]).reshape(-1, 2)
    judged = [axis for axis, info in enumerate((x, y)) if info.better != "none"]
    on_front = {
        id(everyone[index_on_front])
        for index_on_front in front(points[:, judged], [(x, y)[axis].better for axis in judged])
    }
    factors = scale(x), scale(y)
    for index, group in enumerate(groups):
        _draw_group(axes, group, index, factors, on_front)
    for axis, info in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_label_text(_axis_title(info), color=MUTED, fontsize=11)
    coloured = [(setting, index) for index, group in enumerate(groups) for setting in group]
    _label(figure, axes, [(setting, index) for setting, index in coloured if _known(setting)], factors)
    return figure


def _label(
    figure: Figure, axes: Axes, known: Sequence[tuple[PlacedSetting, int]], factors: tuple[float, float]
) -> None:
    """Writes each position right of the plot, at the end of a line from the point, in the colour of the group."""
    if not known:
        return
    texts = [
        axes.annotate(
            shortened(setting.label, 18), (_mean(setting.x) * factors[0], _mean(setting.y) * factors[1]),
            xytext=(_COLUMN, 0.5), textcoords="axes fraction", fontsize=9, verticalalignment="center", zorder=1,
            parse_math=False, color=series_style(index)["color"],
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "shrinkA": 0, "color": MUTED, "linewidth": 0.4},
        )
        for setting, index in known
    ]  # fmt: skip
    figure.draw_without_rendering()  # only now are the axes where they will be
    points = axes.transAxes.inverted().transform(axes.transData.transform([text.xy for text in texts]))
    gap = _LINE * figure.dpi / 72 / axes.get_window_extent().height
    for text, height in zip(texts, label_heights(points[:, 1], gap), strict=True):
        text.set_position((_COLUMN, height))


def label_heights(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Heights from 0 to 1, as near as can be (least squares) to those wanted, in their order and `gap` apart.

    `wanted` holds one at least, and equal ones keep the order in which they come. Where there is no room for
    all, they stand evenly and closer.
    """
    order = np.argsort(wanted, kind="stable")
    steps = np.arange(len(wanted)) * min(gap, 1 / max(1, len(wanted) - 1))
    # Less their steps, heights that are a gap apart only have to rise.
    heights = np.empty(len(wanted))
    heights[order] = np.clip(isotonic_regression(wanted[order] - steps).x, 0, 1 - steps[-1]) + steps
    return heights


def _draw_group(
    axes: Axes, group: Sequence[PlacedSetting], index: int, factors: tuple[float, float], on_front: set[int]
) -> None:
    style = series_style(index)
    known = [setting for setting in group if _known(setting)]
    xs, ys = ([_mean(e) * factor for e in column] for column, factor in zip(_columns(known), factors, strict=True))
    axes.plot(xs, ys, linewidth=1.1, alpha=0.7, **style)  # type: ignore[arg-type] - a style is of many kinds
    for setting, place_x, place_y in zip(known, xs, ys, strict=True):
        colour = style["color"]
        _bar(axes, setting.x, factors[0], place_y, colour, across=True)
        _bar(axes, setting.y, factors[1], place_x, colour, across=False)
        face = colour if id(setting) in on_front else PAPER
        axes.plot([place_x], [place_y], "o", color=colour, markerfacecolor=face, markersize=6.5, zorder=4)  # type: ignore[arg-type]


def _bar(axes: Axes, estimate: Estimate, factor: float, at: float, colour: object, *, across: bool) -> None:
    if estimate.low is None or estimate.high is None:
        return
    ends, level = [estimate.low * factor, estimate.high * factor], [at, at]
    along = (ends, level) if across else (level, ends)
    axes.plot(*along, color=colour, linewidth=1.2, alpha=0.55, zorder=2)  # type: ignore[arg-type]


def _columns(known: Sequence[PlacedSetting]) -> tuple[list[Estimate], list[Estimate]]:
    return [setting.x for setting in known], [setting.y for setting in known]


def _known(setting: PlacedSetting) -> bool:
    return setting.x.mean is not None and setting.y.mean is not None


def _mean(estimate: Estimate) -> float:
    return float("nan") if estimate.mean is None else estimate.mean


def _axis_title(info: MetricInfo) -> str:
    unit = f", {info.unit}" if info.unit else ""
    way = "" if info.better == "none" else f" ({info.better} is better)"
    return f"{info.label}{unit}{way}"
