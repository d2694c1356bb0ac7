"""`docs/results/edits.md` and its curves as a function of `EditResults`: no number is written by hand."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from experiments.edits.arms import EDITS, MAIN, ORIGINAL, SEQUENCE
from experiments.edits.curves import Band, band_of, curve_panels, said_of_leaving
from experiments.edits.results import EditResults, Reach, label_of
from experiments.lib.pages import arm_table, difference_table, made_of, page, table
from spanwise.core import write_text
from spanwise.evals.statistics import Estimate, MetricInfo, mean_and_interval

SHARE = MetricInfo(label="", unit="%")
AREA = MetricInfo(label="", digits=3)
AXES = {"gold": "True score, held-out prompts", "kl": "KL to SFT, nats", "length": "Answer length, tokens"}


def write_page(results: EditResults, path: Path) -> None:
    """Writes the page and its pictures, which go to the folder `images` beside it."""
    for name, title in AXES.items():
        bands = _bands(results, name)
        figure = curve_panels(bands, _labels(bands), title=title, baseline=SEQUENCE)
        _save(figure, path.parent / "images" / f"edits_{name}.svg")
    write_text(path, edits_page(results))


def edits_page(results: EditResults) -> str:
    """The page in Markdown."""
    joint = results.table
    parts = [
        "# Edits as supervision on the simulated world",
        _origin(results),
        "## Arms",
        "Judged by the oracle on the test prompts after the last step; mean over prompts and seeds with its 95 % "
        "interval. Every arm starts from the packaged SFT policy, learns from as many pairs and takes as many "
        "PPO steps; the total reward of each has deviation 1 over the same answers, so that the KL coefficient weighs "
        "the same. Placebo and hybrid pay the token model with consistency and labels, the density control pays the "
        "sequence model trained on edit pairs. The oracle arm sees the true labels of clauses in training: a "
        "ceiling, no method.",
        arm_table(joint),
        "## Differences",
        "Arm less baseline on the same prompts, with the 95 % interval over seeds and prompts.",
        difference_table(joint, joint.comparisons),
        "## Step by step",
        "Answers sampled to held-out prompts at the evaluations of each run: mean over seeds with its 95 % interval.",
        *(_picture(results, name) for name in AXES),
        "The oracle's score of sampled answers to held-out prompts, mean over seeds.",
        _curve_table(results),
        "## Steps to the best of the sequence arm",
        "First evaluated step at which an arm is as good as the baseline ever is, by seed (- = not within the run), "
        "and the median over seeds of its share of the baseline's steps. Xu et al. report a half.",
        _reach_table(results.reaches),
        "## Reward models",
        _pairs(results),
        _accuracy_table(results),
        _localisation(results),
        "## Command",
        f"    {joint.command}",
    ]
    return page(parts)


def _origin(results: EditResults) -> str:
    joint = results.table
    seeds, minutes = made_of(joint)
    return (
        f"Made on {joint.created} from seeds {seeds}; {minutes:.0f} minutes of PPO in all on {joint.machine}. The "
        "judge is the oracle of the simulated world. Models and losses: [token rewards](../guides/token_rewards.md)."
    )


def _pairs(results: EditResults) -> str:
    facts = results.facts
    if not facts:
        return "Not measured."
    return (
        f"Trained on {facts['train_pairs']:.0f} pairs per seed and tested on {facts['test_pairs/noisy']:.0f} of other "
        f"prompts, with the annotator's noise and without ({facts['test_pairs/exact']:.0f} pairs). Mean over seeds "
        "with its 95 % interval. Columns: what the pairs of the test are, two answers or an answer and its edit."
    )


def _picture(results: EditResults, name: str) -> str:
    bands = _bands(results, name)
    said = said_of_leaving(bands, _labels(bands))
    return f"![{AXES[name]}](images/edits_{name}.svg)" + (f"\n\n{said}" if said else "")


def _bands(results: EditResults, name: str) -> dict[str, Band]:
    return {arm: band_of(curves) for arm, curves in results.curves[name].items()}


def _labels(arms: Iterable[str]) -> dict[str, str]:
    return {arm: label_of(arm) for arm in arms}


def _curve_table(results: EditResults) -> str:
    bands = _bands(results, "gold")
    steps = sorted({step for band in bands.values() for step in band})
    rows = [
        [label_of(arm), *(f"{band[step].mean:.2f}" if step in band else "-" for step in steps)]
        for arm, band in bands.items()
    ]
    return table(["arm, by step", *map(str, steps)], rows)


def _reach_table(reaches: Sequence[Reach]) -> str:
    rows = [
        [
            label_of(one.arm),
            label_of(one.baseline),
            " ".join("-" if step is None else str(step) for step in one.steps),
            " ".join(map(str, one.baseline_steps)),
            "-" if one.ratio is None else f"{one.ratio:.2f}",
        ]
        for one in reaches
    ]
    return table(["arm", "baseline", "steps by seed", "baseline's best step", "median share"], rows)


def _accuracy_table(results: EditResults) -> str:
    columns = [f"{pairs}/{noise}" for pairs in ("original", "edits") for noise in ("noisy", "exact")]
    rows = [
        [_model(name), *(mean_and_interval(own.get(f"accuracy/{column}"), SHARE) for column in columns)]
        for name, own in results.quality.items()
    ]
    titles = ["original pairs, noisy, %", "original pairs, exact, %", "edit pairs, noisy, %", "edit pairs, exact, %"]
    return table(["pair accuracy of", *titles], rows)


def _localisation(results: EditResults) -> str:
    rows = [
        [_model(name), *(_area(own, column) for column in ("auroc/noisy", "auroc/exact", "auroc_with_end/exact"))]
        for name, own in results.quality.items()
    ]
    areas = table(["area under the curve of", "noisy edits", "exact edits", "exact, closing token too"], rows)
    gap = results.occlusion_gap
    gap_words = "" if gap is None else (
        f"\n\n{label_of(MAIN)} less the sequence model on edit pairs, exact edits: "
        f"{mean_and_interval(gap, AREA, signed=True)}."
    )  # fmt: skip
    return (
        "How well low rewards find the tokens that the edit changed in held-out originals; the sequence models are "
        f"asked by leaving out one word at a time.\n\n{areas}{gap_words}"
    )


def _area(own: Mapping[str, Estimate], name: str) -> str:
    return mean_and_interval(own.get(name), AREA)


def _model(name: str) -> str:
    return {ORIGINAL: "sequence model, original pairs", EDITS: "sequence model, edit pairs"}.get(
        name, f"token model, {name}"
    )


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "spanwise"}):  # the same numbers make the same file
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
