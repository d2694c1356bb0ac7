"""Parts of pages in Markdown that several studies have: tables of arms and of differences, intervals, marked blocks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanwise.evals.report import verdict_words
from spanwise.evals.statistics import Arm, Comparison, ExperimentResults, MetricInfo, mean_and_interval


def page(parts: Iterable[str]) -> str:
    """The parts of a page, a blank line between them."""
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of ready cells."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def titled(info: MetricInfo) -> str:
    """A metric's label with its unit."""
    return f"{info.label}, {info.unit}" if info.unit else info.label


def arm_cells(arm: Arm, metrics: Mapping[str, MetricInfo]) -> list[str]:
    """Mean and interval of each metric."""
    return [mean_and_interval(arm.metrics.get(name), info) for name, info in metrics.items()]


def arm_table(results: ExperimentResults) -> str:
    """A row an arm, a column a metric."""
    head = ["arm", *(titled(info) for info in results.metrics.values())]
    return table(head, [[arm.title, *arm_cells(arm, results.metrics)] for arm in results.arms.values()])


def difference_table(results: ExperimentResults, comparisons: Iterable[Comparison]) -> str:
    """A row a comparison: arm less baseline."""
    rows = [
        [
            f"{results.arms[one.arm].title} - {results.arms[one.baseline].title}",
            titled(results.metrics[one.metric]),
            mean_and_interval(one.difference, results.metrics[one.metric], signed=True),
            verdict_words(one.verdict),
        ]
        for one in comparisons
    ]
    return table(["difference", "metric", "mean [interval]", "verdict"], rows)


def made_of(results: ExperimentResults) -> tuple[str, float]:
    """The seeds in words, and the minutes that they took in all."""
    return ", ".join(map(str, results.seeds)), sum(results.seconds.values()) / 60


def notes(results: ExperimentResults) -> str:
    """What to know of the results, as a list."""
    return "\n".join(f"- {note}" for note in results.notes)


def interval_words(estimate: Mapping[str, Any], sign: str = "") -> str:
    """A stored estimate as text."""
    if estimate["mean"] is None or estimate["low"] is None:
        return "not measurable"
    return f"{estimate['mean']:{sign}.3f} [{estimate['low']:{sign}.3f}, {estimate['high']:{sign}.3f}]"


def told_apart(gain: Mapping[str, Any], other: str) -> str:
    """Whether a stored difference to `other` lies above or below 0, its interval included."""
    if gain["low"] is None or not (gain["low"] > 0 or gain["high"] < 0):
        return f"not told apart from {other}"
    return f"{'above' if gain['mean'] > 0 else 'below'} {other}"


def between(text: str, marker: str, body: str) -> str:
    """`text` with `body` between the comments `marker:begin` and `marker:end`."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{body}\n{end}{rest.split(end)[1]}"
