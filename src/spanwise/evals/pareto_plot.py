"""The picture of a trade-off: settings as points with both intervals, each group joined along its dial, and its front.

Numbers in, a figure out; `svg.inline_svg` puts it on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spanwise.evals.estimate import Estimate
from spanwise.evals.numbers import scale
from spanwise.evals.pareto import front
from spanwise.evals.results import MetricInfo
from spanwise.evals.svg import INK, MUTED, PAPER, panel, series_style, shortened


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
    figure, axes = panel(4.6, 3.6)
    everyone = [one for group in groups for one in group]
    points = np.array([[_mean(one.x), _mean(one.y)] for one in everyone]).reshape(-1, 2)
    judged = [place for place, info in enumerate((x, y)) if info.better != "none"]
    on_front = {id(everyone[place]) for place in front(points[:, judged], [(x, y)[own].better for own in judged])}
    for index, group in enumerate(groups):
        _draw_group(axes, group, index, (scale(x), scale(y)), on_front)
    for axis, info in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_label_text(_axis_title(info), color=MUTED, fontsize=11)
    return figure


def _draw_group(
    axes: Axes, group: Sequence[PlacedSetting], index: int, factors: tuple[float, float], on_front: set[int]
) -> None:
    style = series_style(index)
    known = [one for one in group if one.x.mean is not None and one.y.mean is not None]
    xs, ys = ([_mean(e) * factor for e in own] for own, factor in zip(_columns(known), factors, strict=True))
    axes.plot(xs, ys, linewidth=1.1, alpha=0.7, **style)  # type: ignore[arg-type] - a style is of many kinds
    for one, place_x, place_y in zip(known, xs, ys, strict=True):
        colour = style["color"]
        _bar(axes, one.x, factors[0], place_y, colour, across=True)
        _bar(axes, one.y, factors[1], place_x, colour, across=False)
        face = colour if id(one) in on_front else PAPER
        axes.plot([place_x], [place_y], "o", color=colour, markerfacecolor=face, markersize=6.5, zorder=4)  # type: ignore[arg-type]
        axes.annotate(
            shortened(one.label, 18), (place_x, place_y), xytext=(5, 4), textcoords="offset points", color=INK,
            fontsize=9, zorder=5,
        )  # fmt: skip


def _bar(axes: Axes, estimate: Estimate, factor: float, at: float, colour: object, *, across: bool) -> None:
    if estimate.low is None or estimate.high is None:
        return
    ends, place = [estimate.low * factor, estimate.high * factor], [at, at]
    along = (ends, place) if across else (place, ends)
    axes.plot(*along, color=colour, linewidth=1.2, alpha=0.55, zorder=2)  # type: ignore[arg-type]


def _columns(known: Sequence[PlacedSetting]) -> tuple[list[Estimate], list[Estimate]]:
    return [one.x for one in known], [one.y for one in known]


def _mean(estimate: Estimate) -> float:
    return float("nan") if estimate.mean is None else estimate.mean


def _axis_title(info: MetricInfo) -> str:
    unit = f", {info.unit}" if info.unit else ""
    way = "" if info.better == "none" else f" ({info.better} is better)"
    return f"{info.label}{unit}{way}"
