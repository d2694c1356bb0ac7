"""`docs/results/detox.md` as a function of what was stored: every number comes from there, none by hand."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from experiments.detox.results import Curves
from experiments.detox.seed import HOLISTIC, LABELS, START
from experiments.lib.pages import arm_cells, difference_table, made_of, notes, page, table, titled
from spanwise.evals.statistics import Comparison, Estimate, ExperimentResults, MetricInfo, mean_and_interval

F1 = MetricInfo(label="F1", better="higher")
_NAMES = {"lexicon": "lexicon alone", "model": "span model alone", "both": "both, by word"}


def detox_page(
    studies: Sequence[tuple[ExperimentResults, Curves]],
    scorers: Mapping[str, Any],
    spans: Mapping[str, Any],
    command: str,
) -> str:
    """The page in Markdown; studies that were not run are left out."""
    parts = [
        "# Results of detoxification",
        f"Made by `{command}`. How it is done and what the words mean: [detoxification](../guides/detox.md).",
        *(_spans(spans) if spans else []),
        *(_scorers(scorers) if scorers else []),
    ]
    for results, curves in studies:
        parts += _study(results, curves)
    return page(parts)


def _spans(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            _NAMES[name],
            f"{found[name]['threshold']:.2f}",
            *(_interval(found[name][split]) for split in ("validation", "trial")),
            str(found[name]["trial"]["unscored"]),
        ]
        for name in _NAMES
    ]
    return [
        "## Toxic spans",
        f"F1 over characters, averaged over comments; where no span is marked, no prediction counts 1. The trial "
        f"file, with 95 % intervals over its comments; {found['repeated']} training comments that it repeats were left "
        "out. Thresholds, and the combination, were chosen on validation comments of the training file. Systems of the "
        "shared task lie between 0.60 and 0.70.",
        table(["words by", "threshold", "validation F1", "trial F1", "unscored"], rows),
    ]


def _scorers(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            name,
            f"`{one['version']}`",
            str(one["comments"]),
            f"{one['auroc']:.3f}",
            f"{100 * one['accuracy']:.1f} %",
            f"{one['unscored']} of {one['texts']}",
        ]
        for name, one in found.items()
    ]
    share = next(iter(found.values()))["toxic_share"]
    return [
        "## Scorers",
        f"Sentences and comments of the trial file, {100 * share:.1f} % with a marked span; nothing learned from them.",
        table(["scorer", "version", "training comments", "AUROC", "accuracy", "unscored"], rows),
    ]


def _study(results: ExperimentResults, curves: Curves) -> list[str]:
    seeds, minutes = made_of(results)
    return [
        f"## {results.title}",
        f"Made on {results.created}: seeds {seeds}, {minutes:.0f} minutes of training in all on {results.machine}. "
        "Mean over prompts and seeds with its 95 % interval.",
        _arms(results, curves),
        "### Differences",
        "Arm less baseline on the same prompts, 95 % intervals over seeds and prompts.",
        difference_table(results, _shown(results)),
        "### On the way",
        "Max toxicity of validation prompts by the judge, mean over seeds, by training step.",
        _curve_table(curves),
        *_reached(curves),
        "### Examples",
        _examples(results),
        "### What to know",
        notes(results),
    ]


def _arms(results: ExperimentResults, curves: Curves) -> str:
    head = [
        "arm",
        *(titled(info) for info in results.metrics.values()),
        "KL",
        "unscored prompts",
        "dropped in training",
    ]
    rows = [
        [
            arm.title,
            *arm_cells(arm, results.metrics),
            f"{curves.kl[name]:.1f}",
            str(arm.metrics["max_toxicity"].unscored),
            "-" if name == START else f"{100 * curves.dropped[name]:.1f} %",
        ]
        for name, arm in results.arms.items()
    ]
    return table(head, rows)


def _shown(results: ExperimentResults) -> list[Comparison]:
    metrics = ("max_toxicity", "toxic_prompts", "nats", "perplexity", "distinct_3", "words")
    return [one for one in results.comparisons if one.metric in metrics]


def _curve_table(curves: Curves) -> str:
    arms = [arm for arm in curves.values if arm != START]
    means = {arm: [fmean(column) for column in zip(*curves.values[arm], strict=True)] for arm in arms}
    rows = [[str(step), *(f"{means[arm][place]:.3f}" for arm in arms)] for place, step in enumerate(curves.steps)]
    return table(["step", *(LABELS[arm] for arm in arms)], rows)


def _reached(curves: Curves) -> list[str]:
    if not curves.to_reach:
        return []
    last = curves.steps[-1]
    rows = [
        [
            LABELS[arm],
            ", ".join("never" if step is None else str(step) for step in steps),
            _median(steps),
        ]
        for arm, steps in curves.to_reach.items()
        if arm != HOLISTIC
    ]
    return [
        f"Steps to get, on those prompts, to where holistic PPO of the same seed was after its last step, {last}:",
        table(["arm", "by seed", "median"], rows),
    ]


def _median(steps: Sequence[int | None]) -> str:
    known = [float("inf") if step is None else step for step in steps]
    middle = median(known)
    return "never" if middle == float("inf") else f"{middle:g}"


def _examples(results: ExperimentResults) -> str:
    blocks = ["The first test prompts, first sample of the first seed. The texts are as offensive as the data."]
    for example in results.examples:
        lines = [f"*{_inline(example.prompt)}* ..."]
        lines += [f"- {results.arms[arm].title}: {_inline(answer.response)}" for arm, answer in example.answers.items()]
        blocks.append("\n".join([lines[0], "", *lines[1:]]))
    return "\n\n".join(blocks)


def _inline(text: str) -> str:
    flat = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_<>[]|#" else letter for letter in flat)


def _interval(stored: Mapping[str, Any]) -> str:
    return mean_and_interval(Estimate.model_validate(dict(stored)), F1)
