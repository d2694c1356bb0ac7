"""What stands behind a dial: the answers of one group of settings to the same prompts, position by position.

Used by the page of a trade-off and by the report; knows nothing of HTML.
"""

from dataclasses import dataclass

from spanwise.evals.runs import SettingGroup, TradeOff
from spanwise.evals.statistics import Example, ExperimentResults, mean_and_interval

MAX_PROMPTS = 8
"""Prompts behind the dial; the rest is in the results."""


@dataclass(frozen=True)
class DialGroup:
    """One group behind the dial: positions, and per prompt the answer at each."""

    title: str
    note: str
    positions: tuple[str, ...]
    labels: tuple[str, ...]
    figures: tuple[str, ...]
    """The setting's figures in words, one per position."""
    cards: tuple[tuple[str, tuple[str, ...]], ...]
    """(prompt, answers in the order of the positions)."""


def dials_of(results: ExperimentResults, plan: TradeOff) -> tuple[DialGroup, ...]:
    """One dial per group of settings."""
    return tuple(_dial(results, group) for group in plan.groups)


def _dial(results: ExperimentResults, group: SettingGroup) -> DialGroup:
    shown = [one for one in results.examples if any(arm in one.answers for arm in group.arms)][:MAX_PROMPTS]
    return DialGroup(
        title=group.title,
        note=group.note,
        positions=group.positions,
        labels=tuple(results.arms[arm].label for arm in group.arms),
        figures=tuple(_figures(results, arm) for arm in group.arms),
        cards=tuple((one.prompt, tuple(_answer(one, arm) for arm in group.arms)) for one in shown),
    )


def _figures(results: ExperimentResults, arm: str) -> str:
    found = results.arms[arm].metrics
    return "; ".join(
        f"{info.label} {mean_and_interval(found.get(metric), info)}{f' {info.unit}' if info.unit else ''}"
        for metric, info in results.metrics.items()
    )


def _answer(example: Example, arm: str) -> str:
    return example.answers[arm].response if arm in example.answers else ""
