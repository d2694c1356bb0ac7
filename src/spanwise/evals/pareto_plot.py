"""The picture of a trade-off: settings as points with both intervals, each group joined along its dial, and its front.

Labels are put where they hide neither each other nor a point; a label that had to move away is joined to its point.
Numbers in, a figure out; `svg.inline_svg` puts it on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import BboxBase

from spanwise.evals.estimate import Estimate
from spanwise.evals.label_placing import Box, place_labels
from spanwise.evals.numbers import scale
from spanwise.evals.pareto import front
from spanwise.evals.results import MetricInfo
from spanwise.evals.svg import MUTED, PAPER, panel, series_style, shortened

_RADIUS = 4.0
"""Of a drawn point with its edge, in points of type."""
_HAIR = 0.5
_Point = tuple[float, float]


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
    factors = scale(x), scale(y)
    for index, group in enumerate(groups):
        _draw_group(axes, group, index, factors, on_front)
    for axis, info in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_label_text(_axis_title(info), color=MUTED, fontsize=11)
    _label(figure, axes, [(one, place) for place, own in enumerate(groups) for one in own if _known(one)], factors)
    return figure


def _label(
    figure: Figure, axes: Axes, known: Sequence[tuple[PlacedSetting, int]], factors: tuple[float, float]
) -> None:
    """Writes the positions beside the points, in the colour of their group; lengths are in points of type."""
    spots = [(_mean(one.x) * factors[0], _mean(one.y) * factors[1]) for one, _ in known]
    texts = [
        axes.annotate(
            shortened(one.label, 18), spot, textcoords="offset points", xytext=(0, 0), fontsize=9, zorder=5,
            parse_math=False, in_layout=False, color=series_style(index)["color"],
        )
        for (one, index), spot in zip(known, spots, strict=True)
    ]  # fmt: skip
    figure.draw_without_rendering()  # only now are the axes where they will be
    boxes = [_box(text.get_window_extent(), figure) for text in texts]
    points = [_spot(axes, spot) for spot in spots]
    placed = place_labels(
        points,
        [(box.right - box.left, box.top - box.bottom) for box in boxes],
        frame=_box(axes.get_window_extent(), figure),
        radius=_RADIUS,
        bars=[bar for (one, _), spot in zip(known, spots, strict=True) for bar in _bars(axes, one, factors, spot)],
    )
    for text, was, point, own in zip(texts, boxes, points, placed, strict=True):
        text.set_position((own.box.left - was.left, own.box.bottom - was.bottom))
        if own.far:
            _join(axes, point, own.box)


def _box(box: BboxBase, figure: Figure) -> Box:
    """A box on the canvas in points of type from the figure's corner."""
    unit = 72 / figure.dpi
    return Box(box.x0 * unit, box.y0 * unit, box.x1 * unit, box.y1 * unit)


def _spot(axes: Axes, spot: _Point) -> _Point:
    """A place of the plane in points of type from the figure's corner."""
    across, up = axes.transData.transform(spot) * 72 / axes.figure.dpi
    return float(across), float(up)


def _bars(axes: Axes, one: PlacedSetting, factors: tuple[float, float], spot: _Point) -> list[Box]:
    """The interval bars as boxes that are hardly wider than a line."""
    found: list[Box] = []
    for place, estimate in enumerate((one.x, one.y)):
        if estimate.low is None or estimate.high is None:
            continue
        low, high = (end * factors[place] for end in (estimate.low, estimate.high))
        ends = ((low, spot[1]), (high, spot[1])) if place == 0 else ((spot[0], low), (spot[0], high))
        (left, bottom), (right, top) = (_spot(axes, end) for end in ends)
        found.append(Box(left - _HAIR, bottom - _HAIR, right + _HAIR, top + _HAIR))
    return found


def _join(axes: Axes, point: _Point, box: Box) -> None:
    """A thin line from a point to the nearest place of its label."""
    nearest = min(max(point[0], box.left), box.right), min(max(point[1], box.bottom), box.top)
    axes.annotate(
        "", nearest, point, xycoords="figure points", textcoords="figure points", zorder=3, annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": _RADIUS, "shrinkB": 1},
    ).set_in_layout(False)  # fmt: skip


def _draw_group(
    axes: Axes, group: Sequence[PlacedSetting], index: int, factors: tuple[float, float], on_front: set[int]
) -> None:
    style = series_style(index)
    known = [one for one in group if _known(one)]
    xs, ys = ([_mean(e) * factor for e in own] for own, factor in zip(_columns(known), factors, strict=True))
    axes.plot(xs, ys, linewidth=1.1, alpha=0.7, **style)  # type: ignore[arg-type] - a style is of many kinds
    for one, place_x, place_y in zip(known, xs, ys, strict=True):
        colour = style["color"]
        _bar(axes, one.x, factors[0], place_y, colour, across=True)
        _bar(axes, one.y, factors[1], place_x, colour, across=False)
        face = colour if id(one) in on_front else PAPER
        axes.plot([place_x], [place_y], "o", color=colour, markerfacecolor=face, markersize=6.5, zorder=4)  # type: ignore[arg-type]


def _bar(axes: Axes, estimate: Estimate, factor: float, at: float, colour: object, *, across: bool) -> None:
    if estimate.low is None or estimate.high is None:
        return
    ends, place = [estimate.low * factor, estimate.high * factor], [at, at]
    along = (ends, place) if across else (place, ends)
    axes.plot(*along, color=colour, linewidth=1.2, alpha=0.55, zorder=2)  # type: ignore[arg-type]


def _columns(known: Sequence[PlacedSetting]) -> tuple[list[Estimate], list[Estimate]]:
    return [one.x for one in known], [one.y for one in known]


def _known(one: PlacedSetting) -> bool:
    return one.x.mean is not None and one.y.mean is not None


def _mean(estimate: Estimate) -> float:
    return float("nan") if estimate.mean is None else estimate.mean


def _axis_title(info: MetricInfo) -> str:
    unit = f", {info.unit}" if info.unit else ""
    way = "" if info.better == "none" else f" ({info.better} is better)"
    return f"{info.label}{unit}{way}"
