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

GROUPS = {
    "eval": "On held-out prompts",
    "reward": "Reward per source",
    "kl": "KL to the reference",
    "response": "Answers",
    "loss": "Losses",
}
"""Known prefixes of metrics in reading order; others follow by name."""
OPEN_GROUPS = ("eval", "reward", "kl", "response")


@dataclass(frozen=True)
class Panel:
    """One plot with its heading; `note` stands below it."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading; a group that is not `open` is folded."""

    title: str
    panels: tuple[Panel, ...]
    open: bool = True


def curve_groups(runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> list[PanelGroup]:
    """One panel per metric key, grouped by the part before the slash; `order` is the arms' order in the legend."""
    keys = dict.fromkeys(key for own in runs.values() for run in own for key in run.curves)
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.partition("/")[0], []).append(key)
    places = {prefix: place for place, prefix in enumerate(GROUPS)}
    prefixes = sorted(groups, key=lambda prefix: (places.get(prefix, len(places)), prefix))
    found = [
        PanelGroup(
            GROUPS.get(prefix, prefix),
            tuple(panel for key in groups[prefix] if (panel := _curve_panel(key, runs, order, name)) is not None),
            open=prefix in OPEN_GROUPS,
        )
        for prefix in prefixes
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
            figure = reliability_plot(quality.reliability, index=place)
            svg = inline_svg(figure, f"{name}-reliability{place}", f"Reliability of {head}: {points}")
            panels.append(Panel(quality.label or head, svg))
    return tuple(panels)


def _curve_panel(key: str, runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> Panel | None:
    curves = {arm: tuple(run.curves[key] for run in own if key in run.curves) for arm, own in runs.items()}
    lines = [Line(order.index(arm), own) for arm, own in curves.items() if any(map(_known, own))]
    if not lines:
        return None
    words = "; ".join(f"{order[line.index]} {_course(mean_curve(line.curves))}" for line in lines)
    short = key.partition("/")[2] or key
    svg = inline_svg(curve_plot(lines), f"{name}-{_identifier(key)}", f"{key} over training steps: {words}")
    return Panel(short.replace("_", " "), svg)


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
