"""The curves of the study of edits: one panel for each arm, its mean and interval over seeds beside one baseline.

Numbers in, a figure out, and the words for an arm that does not fit on it. Knows nothing of files or of the page.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.edits.results import Curve
from spanwise.evals.statistics import Estimate, plain, seed_interval

Band = dict[int, Estimate]
"""Mean and interval over seeds by PPO step."""
INK, GREY = "#4269d0", "#8a8f98"
COLUMNS = 5


def band_of(curves: Sequence[Curve]) -> Band:
    """What the seeds say together at each step that all of them have."""
    steps = set[int](curves[0]).intersection(*curves) if curves else set[int]()
    return {step: seed_interval(dict(enumerate(curve[step] for curve in curves))) for step in sorted(steps)}


def leaving(bands: Mapping[str, Band]) -> tuple[str, ...]:
    """Arms that are let out of the picture: with the mean of such an arm in it, the others' have less than half of it.

    At most a third of the arms, so that what most of them do is never called far off.
    """
    spans = {arm: (min(means), max(means)) for arm, band in bands.items() if (means := _means(band))}
    gone: list[str] = []
    while len(gone) < len(bands) // 3:
        rest = {arm: _height([own for other, own in spans.items() if other != arm]) for arm in spans}
        furthest = min(rest, key=lambda arm: rest[arm])
        if 2 * rest[furthest] >= _height(list(spans.values())):
            break
        gone.append(furthest)
        del spans[furthest]
    return tuple(gone)


def said_of_leaving(bands: Mapping[str, Band], labels: Mapping[str, str]) -> str:
    """A sentence on every arm that leaves the picture; empty where none does."""
    ends = [f"{labels[arm]} (ends at {_end(bands[arm])})" for arm in leaving(bands)]
    return f"Leaves the picture, so that the other arms can be read: {', '.join(ends)}." if ends else ""


def curve_panels(bands: Mapping[str, Band], labels: Mapping[str, str], *, title: str, baseline: str) -> Figure:
    """A panel for each arm, all with the same axes; the baseline's mean is grey in every one."""
    rows = -(-len(bands) // COLUMNS)
    figure = Figure(figsize=(9.6, 0.6 + 2.0 * rows), layout="constrained")
    grid = figure.subplots(rows, min(COLUMNS, len(bands)), sharex=True, sharey=True, squeeze=False)
    gone, low_high = leaving(bands), _limits(bands)
    for axes in grid.flat[len(bands) :]:
        axes.set_axis_off()
    for axes, (arm, band) in zip(grid.flat, bands.items(), strict=False):
        _draw(axes, band, bands.get(baseline, {}))
        axes.set_title("\n".join(textwrap.wrap(labels[arm], 26)), loc="left", fontsize=8)
        if low_high is not None:
            axes.set_ylim(*low_high)
        if arm in gone:
            _say_that_it_leaves(axes, band)
    grey = f" (grey: {labels[baseline]})" if baseline in bands else ""
    figure.suptitle(f"{title}{grey}", x=0.01, ha="left", fontsize=10)
    figure.supxlabel("PPO step", fontsize=9)
    return figure


def _draw(axes: Axes, band: Band, baseline: Band) -> None:
    axes.plot(list(baseline), _means(baseline), color=GREY, linewidth=1.1)
    axes.plot(list(band), _means(band), color=INK, linewidth=1.7)
    known = {step: (one.low, one.high) for step, one in band.items() if one.low is not None and one.high is not None}
    if known:
        lows, highs = zip(*known.values(), strict=True)
        axes.fill_between(list(known), lows, highs, color=INK, alpha=0.18, linewidth=0)
    axes.grid(visible=True, alpha=0.3)
    axes.tick_params(labelsize=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _say_that_it_leaves(axes: Axes, band: Band) -> None:
    """In the corner on whose side the curve ends, where nothing else is."""
    above = (band[max(band)].mean or 0.0) > sum(axes.get_ylim()) / 2
    place, align = (0.95, "top") if above else (0.05, "bottom")
    text = f"leaves the picture,\nends at {_end(band)}"
    axes.text(0.96, place, text, transform=axes.transAxes, ha="right", va=align, fontsize=7.5, color=INK)


def _limits(bands: Mapping[str, Band]) -> tuple[float, float] | None:
    gone = leaving(bands)
    spans = [span for arm, band in bands.items() if arm not in gone and (span := _span(band)) is not None]
    if not gone or not spans:
        return None  # matplotlib's own
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    room = 0.05 * (high - low)
    return low - room, high + room


def _span(band: Band) -> tuple[float, float] | None:
    """Lowest and highest value, interval included."""
    lows = [low for one in band.values() if (low := one.mean if one.low is None else one.low) is not None]
    highs = [high for one in band.values() if (high := one.mean if one.high is None else one.high) is not None]
    return (min(lows), max(highs)) if lows else None


def _height(spans: Sequence[tuple[float, float]]) -> float:
    return max(high for _, high in spans) - min(low for low, _ in spans)


def _means(band: Band) -> list[float]:
    return [math.nan if one.mean is None else one.mean for one in band.values()]


def _end(band: Band) -> str:
    return plain(band[max(band)].mean)
