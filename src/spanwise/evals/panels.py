"""The report's plots, chosen and captioned: which curves share a panel, in which order, with what in words below.

Takes estimates and runs, gives `Panel`s of finished SVG. A panel's caption and description say in words what the plot
shows, since a picture is not for everyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanwise.evals.numbers import interval, number, plain, quantity
from spanwise.evals.plots import Line, Row, curve_plot, differences_plot, estimates_plot, mean_curve, reliability_plot
from spanwise.evals.results import ExperimentResults, MetricInfo, RewardModelQuality
from spanwise.evals.runs import Curve, Run
from spanwise.evals.svg import inline_svg

MAIN_GROUPS = {"eval": "Held-out", "reward": "Reward", "kl": "KL", "response": "Answer"}
"""Prefixes of the metrics that everyone looks at, in reading order, and how they begin a panel's title."""
GROUPS = {"loss": "Losses"}
"""Titles of other known prefixes; the rest is titled by its prefix."""


@dataclass(frozen=True)
class Panel:
    """One plot with its heading; `note` stands below it."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading; the main group has none."""

    title: str
    panels: tuple[Panel, ...]


def curve_groups(runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> list[PanelGroup]:
    """One panel per metric key: the main ones first, the others by the part before the slash.

    `order` is the arms' order in the legend.
    """
    keys = dict.fromkeys(key for own in runs.values() for run in own for key in run.curves)
    main = [key for prefix in MAIN_GROUPS for key in keys if _prefix(key) == prefix]
    others = sorted({_prefix(key) for key in keys} - set(MAIN_GROUPS))
    grouped = {"": main} | {prefix: [key for key in keys if _prefix(key) == prefix] for prefix in others}
    found = [
        PanelGroup(
            GROUPS.get(prefix, prefix), tuple(filter(None, (_curve_panel(key, runs, order, name) for key in own)))
        )
        for prefix, own in grouped.items()
    ]
    return [group for group in found if group.panels]


def arm_panels(results: ExperimentResults, name: str) -> tuple[Panel, ...]:
    """One panel per metric: every arm with its interval."""
    panels: list[Panel] = []
    for place, (metric, info) in enumerate(results.metrics.items()):
        rows = [Row(arm.label, arm.metrics.get(metric), index=i) for i, arm in enumerate(results.arms.values())]
        if any(row.estimate is not None for row in rows):
            words = "; ".join(_row_words(row, info) for row in rows)
            svg = inline_svg(estimates_plot(rows, info), f"{name}-arms{place}", f"{info.label} by arm: {words}")
            panels.append(Panel(_titled(info), svg, info.description))
    return tuple(panels)


def difference_panels(results: ExperimentResults, name: str) -> tuple[Panel, ...]:
    """One forest plot per metric: every comparison that was made of it."""
    panels: list[Panel] = []
    for place, (metric, info) in enumerate(results.metrics.items()):
        rows = [
            Row(
                f"{results.arms[one.arm].label} \N{MINUS SIGN} {results.arms[one.baseline].label}",
                one.difference,
                one.verdict,
            )
            for one in results.comparisons
            if one.metric == metric
        ]
        if rows:
            words = "; ".join(f"{_row_words(row, info, signed=True)}, {row.verdict}" for row in rows)
            svg = inline_svg(
                differences_plot(rows, info), f"{name}-diff{place}", f"Differences of {info.label}: {words}"
            )
            panels.append(Panel(_titled(info), svg))
    return tuple(panels)


def reliability_panels(heads: Mapping[str, RewardModelQuality], name: str) -> tuple[Panel, ...]:
    """One reliability plot per head that has bins."""
    panels: list[Panel] = []
    for place, (head, quality) in enumerate(heads.items()):
        if quality.reliability:
            points = "; ".join(f"said {plain(b.confidence)}, was {plain(b.accuracy)}" for b in quality.reliability)
            figure = reliability_plot(quality.reliability)
            svg = inline_svg(figure, f"{name}-reliability{place}", f"Reliability of {head}: {points}")
            panels.append(Panel(quality.label or head, svg))
    return tuple(panels)


def _curve_panel(key: str, runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> Panel | None:
    curves = {arm: tuple(run.curves[key] for run in own if key in run.curves) for arm, own in runs.items()}
    lines = [Line(order.index(arm), own) for arm, own in curves.items() if any(map(_known, own))]
    if not lines:
        return None
    words = "; ".join(f"{order[line.index]} {_course(mean_curve(line.curves))}" for line in lines)
    svg = inline_svg(curve_plot(lines), f"{name}-{_identifier(key)}", f"{key} over training steps: {words}")
    return Panel(_curve_title(key), svg)


def _curve_title(key: str) -> str:
    """`reward/relevance` is "Reward: relevance"; in a group of its own a key needs no prefix."""
    prefix, _, rest = key.partition("/")
    words = (rest or prefix).replace("_", " ").replace("/", " / ")
    return f"{MAIN_GROUPS[prefix]}: {words}" if rest and prefix in MAIN_GROUPS else words


def _prefix(key: str) -> str:
    return key.partition("/")[0]


def _known(curve: Curve) -> bool:
    return any(value is not None for _, value in curve)


def _course(curve: Curve) -> str:
    known = [(step, value) for step, value in curve if value is not None]
    (first, start), (last, end) = known[0], known[-1]
    return f"from {plain(start)} at step {first:g} to {plain(end)} at step {last:g}"


def _row_words(row: Row, info: MetricInfo, *, signed: bool = False) -> str:
    if row.estimate is None or row.estimate.mean is None:
        return f"{row.label} not run"
    text = number(row.estimate.mean, info, signed=True) if signed else quantity(row.estimate.mean, info)
    return f"{row.label} {text} {interval(row.estimate, info, signed=signed)}".rstrip()


def _titled(info: MetricInfo) -> str:
    arrow = {"lower": " \N{DOWNWARDS ARROW}", "higher": " \N{UPWARDS ARROW}", "none": ""}[info.better]
    return info.label + arrow


def _identifier(key: str) -> str:
    """Letters, digits and the code points of everything else, so that different keys stay different."""
    return "".join(letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}" for letter in key)
