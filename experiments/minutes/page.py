"""The page of the study of minutes and its picture, as a function of the results: no number is written by hand."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from experiments.lib.outcomes import this_commit
from experiments.lib.pages import arm_table, difference_table, page
from experiments.minutes.seed import MinutesConfig
from spanwise.core import write_text
from spanwise.evals.statistics import ExperimentResults, MetricInfo
from spanwise.quickstart import SFT

COLOURS = {"marks": "#4269d0", "preferences": "#efb118", "edits": "#3ca951", "mixed": "#a463f2"}
SHOWN = ("quality", "relevance_error", "fact_error", "completeness")


def write_page(results: ExperimentResults, config: MinutesConfig, path: Path) -> None:
    """Writes the page, and its picture into the folder `images` beside it."""
    picture = path.parent / "images" / "minutes.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "spanwise", "svg.fonttype": "none"}):
        curves(results, config).savefig(picture, metadata={"Date": None, "Creator": None})
    write_text(path, minutes_page(results))


def minutes_page(results: ExperimentResults) -> str:
    """The page in Markdown."""
    seeds = ", ".join(map(str, results.seeds))
    against_sft = [one for one in results.comparisons if one.baseline == SFT]
    against_others = [one for one in results.comparisons if one.baseline != SFT]
    return page(
        [
            "# Marks, preferences and edits for the same minutes",
            f"Made by `{results.command}` at commit {this_commit()} on {results.created}: seeds {seeds}, "
            f"{results.machine}. Every arm starts from the packaged SFT policy, has the same minutes of an annotator "
            "(six to mark an answer, six to edit one, six for the six pairs of four answers), a reward model "
            "of its own and as many PPO steps. Judged greedily by the oracle of the simulated world, which no training "
            "step sees.",
            _seed_words(results),
            "![True score and the three kinds of error over the minutes of annotation](images/minutes.svg)",
            "## Arms",
            "Mean over prompts and seeds with its 95 % interval.",
            arm_table(results),
            "## For the same minutes",
            "Arm less preferences at the same budget.",
            difference_table(results, against_others),
            "## Against greedy SFT",
            difference_table(results, against_sft),
        ]
    )


def _seed_words(results: ExperimentResults) -> str:
    if len(results.seeds) >= 5:
        return "Points are means over seeds with 95 % intervals over seeds and prompts."
    return (
        f"**{len(results.seeds)} seeds: hints, not results.** Points are means over seeds with 95 % intervals over "
        "seeds and prompts; a claim needs five."
    )


def curves(results: ExperimentResults, config: MinutesConfig) -> Figure:
    """A panel a metric, a line for each kind of feedback over the minutes, and the SFT policy as a grey line."""
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    ticks = sorted({budget for budgets in config.budgets.values() for budget in budgets})
    for axes, metric in zip(figure.subplots(2, 2).flat, SHOWN, strict=True):
        info = results.metrics[metric]
        axes.axhline(_shown(results.arms[SFT].metrics[metric].mean, info), color="#8a8f98", linewidth=1, label="SFT")
        for kind, budgets in config.budgets.items():
            estimates = [results.arms[f"{kind}-{budget:g}"].metrics[metric] for budget in budgets]
            means = [_shown(estimate.mean, info) for estimate in estimates]
            axes.plot(budgets, means, color=COLOURS[kind], marker="o", label=kind)
            low = [_shown(estimate.low, info) for estimate in estimates]
            high = [_shown(estimate.high, info) for estimate in estimates]
            axes.vlines(budgets, low, high, color=COLOURS[kind], linewidth=1.2, alpha=0.6)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{budget:g}" for budget in ticks])
        axes.minorticks_off()
        axes.set_title(f"{info.label}, {info.unit}" if info.unit else info.label, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.supxlabel("minutes of an annotator", fontsize=10)
    return figure


def _shown(value: float | None, info: MetricInfo) -> float:
    return float("nan") if value is None else value * (100 if info.unit == "%" else 1)
