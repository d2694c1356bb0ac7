"""`docs/customisation_results.md` as a function of the experiment's results: every number comes from there."""

from experiments.customisation.results import TITLES
from spanwise.evals.pages import SHARE
from spanwise.evals.runs import SettingGroup, TradeOff, coverage, front_rows
from spanwise.evals.statistics import MISSING, ExperimentResults, MetricInfo, mean_and_interval

SHOWN = ("words", "relevance_error", "fact_error", "completeness", "quality", "kl")


def customisation_page(results: ExperimentResults, plan: TradeOff) -> str:
    """The page in Markdown."""
    seeds, minutes = ", ".join(map(str, results.seeds)), sum(results.seconds.values()) / 60
    parts = [
        "# Results of the customisation experiment",
        f"Made by `{results.command}` on {results.created}: seeds {seeds}, {minutes:.0f} minutes of training and "
        f"measuring on {results.machine}. What is compared: [customisation.md](customisation.md).",
        "Means over prompts and seeds with their 95 % intervals. *Front*: no other setting of the same kind is at "
        "least as good in irrelevance, factual errors and completeness and better in one; in how many of the seeds.",
        *(part for group in plan.groups for part in _group(results, plan, group)),
        "## How much each kind covers",
        "The share of all that is possible (no errors, nothing missing) that is no better than one of the kind's "
        "settings: the hypervolume of irrelevance, factual errors and completeness over their whole ranges, seed by "
        "seed, with Student's interval over seeds.",
        _coverage(results, plan),
        "## Differences on the same prompts",
        _differences(results),
        "## What to know",
        "\n".join(f"- {note}" for note in results.notes),
    ]
    return "\n\n".join(parts) + "\n"


def _group(results: ExperimentResults, plan: TradeOff, group: SettingGroup) -> list[str]:
    metrics = [one.metric for one in plan.measures]
    fronts = {row.arm: row for row in front_rows(results, group.arms, metrics)}
    head = [plan.dial, *(_titled(results.metrics[name]) for name in SHOWN), "front"]
    rows = [
        [
            position,
            *(mean_and_interval(results.arms[arm].metrics.get(m), results.metrics[m]) for m in SHOWN),
            f"{'yes' if fronts[arm].on_front else 'no'}, {fronts[arm].seeds_on_front} of {fronts[arm].seeds}",
        ]
        for arm, position in zip(group.arms, group.positions, strict=True)
    ]
    return [f"## {group.title}", group.note, _table(head, rows)]


def _coverage(results: ExperimentResults, plan: TradeOff) -> str:
    rows = [
        [
            row.title,
            mean_and_interval(row.volume, SHARE),
            MISSING if row.difference is None else mean_and_interval(row.difference, SHARE, signed=True),
        ]
        for row in coverage(results, plan)
    ]
    return _table(["kind", "covered, %", f"less {next(iter(TITLES.values()))}, points"], rows)


def _differences(results: ExperimentResults) -> str:
    rows = [
        [
            f"{results.arms[one.arm].label} - {results.arms[one.baseline].label}",
            _titled(results.metrics[one.metric]),
            mean_and_interval(one.difference, results.metrics[one.metric], signed=True),
            one.verdict,
        ]
        for one in results.comparisons
    ]
    return _table(["difference", "metric", "mean [interval]", "verdict"], rows)


def _titled(info: MetricInfo) -> str:
    return f"{info.label}, {info.unit}" if info.unit else info.label


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
