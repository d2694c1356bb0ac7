"""The report's plots, chosen and captioned: which curves share a panel, in which order, with what in words below.

Takes estimates and runs, gives `Panel`s of finished SVG. A panel's caption and description say in words what the plot
shows, since a picture is not for everyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanwise.evals.report.plots import (
    Line,
    Row,
    curve_plot,
    differences_plot,
    estimates_plot,
    mean_curve,
    reliability_plot,
)
from spanwise.evals.report.svg import inline_svg
from spanwise.evals.runs import Curve, Run
from spanwise.evals.statistics import (
    ExperimentResults,
    MetricInfo,
    RewardModelQuality,
    interval,
    number,
    plain,
    quantity,
)

MAIN_CURVES = ("eval/reward/", "eval/kl/response", "eval/response/length")
"""What everyone looks at: keys, or their beginnings, in reading order; rollouts stand in for what was not held out."""
HEADS = {"reward": "Reward", "kl": "KL", "response": "Answer"}
"""How the titles of these curves begin."""
SIDE_CURVES = ("dropped", "after_kl")
"""What is logged beside the reward of each source."""
GROUPS = {
    "eval": "More on held-out prompts",
    "reward": "Reward of the training rollouts",
    "kl": "KL of the training rollouts",
    "response": "Answers of the training rollouts",
    "sft": "Supervised fine-tuning",
    "heldout": "Held-out demonstrations",
    "policy": "Policy updates",
    "value": "Value model",
    "alarm": "Alarms (1 while one holds)",
    "update": "Updates",
    "loss": "Losses",
    "time": "Seconds",
}
"""Titles of known prefixes in reading order; the rest is titled by its prefix."""


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
    note: str = ""


def curve_groups(runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> list[PanelGroup]:
    """One panel per metric key: the main ones first, the others by the part before the slash.

    `order` is the arms' order in the legend.
    """
    keys = list(dict.fromkeys(key for own in runs.values() for run in own for key in run.curves))
    main = _main_keys(keys)
    places = {prefix: rank for rank, prefix in enumerate(GROUPS)}
    prefixes = sorted({_prefix(key) for key in keys}, key=lambda prefix: (places.get(prefix, len(places)), prefix))
    grouped = {"": main} | {p: [key for key in keys if _prefix(key) == p and key not in main] for p in prefixes}
    groups: list[PanelGroup] = []
    for prefix, own in grouped.items():
        panels = [_curve_panel(key, runs, order, name) for key in own]
        shown = tuple(panel for panel in panels if panel is not None)
        groups.append(PanelGroup(GROUPS.get(prefix, prefix), shown, "" if prefix else _main_note(main)))
    return [group for group in groups if group.panels]


def _main_note(main: Sequence[str]) -> str:
    return "On held-out prompts." if any(_prefix(key) == "eval" for key in main) else "On the training data."


def _main_keys(keys: Sequence[str]) -> list[str]:
    wanted = MAIN_CURVES
    if not any(key.startswith(wanted[0]) for key in keys):
        wanted = tuple(key.removeprefix("eval/") for key in wanted)
    main = [key for beginning in wanted for key in keys if key.startswith(beginning)]
    return [key for key in main if key.rpartition("/")[2] not in SIDE_CURVES] or list(keys)


def arm_panels(results: ExperimentResults, name: str) -> tuple[Panel, ...]:
    """One panel per metric: every arm with its interval."""
    panels: list[Panel] = []
    for index, (metric, info) in enumerate(results.metrics.items()):
        rows = [Row(a.title, a.metrics.get(metric), index=results.places[key]) for key, a in results.arms.items()]
        if any(row.estimate is not None for row in rows):
            words = "; ".join(_row_words(row, info) for row in rows)
            svg = inline_svg(estimates_plot(rows, info), f"{name}-arms{index}", f"{info.label} by arm: {words}")
            panels.append(Panel(_titled(info), svg, info.description))
    return tuple(panels)


def difference_panels(results: ExperimentResults, name: str) -> tuple[Panel, ...]:
    """One forest plot per metric: every comparison that was made of it."""
    panels: list[Panel] = []
    for index, (metric, info) in enumerate(results.metrics.items()):
        rows = [
            Row(
                f"{results.arms[comparison.arm].title} \N{MINUS SIGN} {results.arms[comparison.baseline].title}",
                comparison.difference,
                comparison.verdict,
            )
            for comparison in results.comparisons
            if comparison.metric == metric
        ]
        if rows:
            words = "; ".join(f"{_row_words(row, info, signed=True)}, {row.verdict}" for row in rows)
            svg = inline_svg(
                differences_plot(rows, info), f"{name}-diff{index}", f"Differences of {info.label}: {words}"
            )
            panels.append(Panel(_titled(info), svg))
    return tuple(panels)


def reliability_panels(heads: Mapping[str, RewardModelQuality], name: str) -> tuple[Panel, ...]:
    """One reliability plot per head that has bins."""
    panels: list[Panel] = []
    for index, (head, quality) in enumerate(heads.items()):
        if quality.reliability:
            points = "; ".join(f"said {plain(b.confidence)}, was {plain(b.accuracy)}" for b in quality.reliability)
            figure = reliability_plot(quality.reliability)
            svg = inline_svg(figure, f"{name}-reliability{index}", f"Reliability of {head}: {points}")
            panels.append(Panel(quality.label or head, svg))
    return tuple(panels)


def _curve_panel(key: str, runs: Mapping[str, Sequence[Run]], order: Sequence[str], name: str) -> Panel | None:
    curves = {
        arm: tuple(run.curves[key] for run in runs_of_arm if key in run.curves) for arm, runs_of_arm in runs.items()
    }
    lines = [
        Line(order.index(arm), runs_of_arm) for arm, runs_of_arm in curves.items() if any(map(_known, runs_of_arm))
    ]
    if not lines:
        return None
    words = "; ".join(f"{order[line.index]} {_course(mean_curve(line.curves))}" for line in lines)
    svg = inline_svg(curve_plot(lines), f"{name}-{_identifier(key)}", f"{key} over training steps: {words}")
    return Panel(_curve_title(key), svg)


def _curve_title(key: str) -> str:
    """`eval/reward/relevance` is "Reward: relevance"; a key of a group with its own heading needs no prefix."""
    words = key.removeprefix("eval/").replace("_", " ").split("/")
    name = " / ".join(words[1:] or words)
    return f"{HEADS[words[0]]}: {name}" if words[0] in HEADS and len(words) > 1 else name


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
