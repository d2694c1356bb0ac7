"""`docs/results/sim_arms.md` as a function of `ExperimentResults`: every number comes from there, none by hand."""

from experiments.lib.outcomes import this_commit
from experiments.lib.pages import arm_table, difference_table, made_of, notes, page, table, titled
from spanwise.evals.rivals import GREEDY
from spanwise.evals.statistics import Comparison, ExperimentResults, mean_and_interval
from spanwise.quickstart import ABLATIONS, FINE_GRAINED

SIGNS = {
    "without-relevance": (("words", 1), ("relevance_error", 1)),
    "without-factuality": (("fact_error", 1),),
    "without-completeness": (("completeness", -1),),
}
"""What Table 5 of Wu et al. leads one to expect of each ablation: metric and sign of its difference to the full arm."""


def results_page(results: ExperimentResults) -> str:
    """The page in Markdown."""
    parts = [
        "# Results on the simulated world",
        _origin(results),
        "## Arms",
        "Mean over prompts and seeds with its 95 % interval.",
        arm_table(results),
        "## Differences",
        "Arm less baseline on the same prompts, with the 95 % interval over seeds and prompts.",
        difference_table(results, [c for c in results.comparisons if c.arm not in ABLATIONS]),
        *_ablation(results),
        "## Reward models",
        "On held-out feedback of the noisy annotator, mean over seeds; the noise bounds what can be reached.",
        _quality_table(results),
        "## What to know",
        notes(results),
    ]
    return page(parts)


def _origin(results: ExperimentResults) -> str:
    seeds, minutes = made_of(results)
    return (
        f"Made by `{results.command}` at commit {this_commit()} on {results.created}: seeds {seeds}, "
        f"{minutes:.0f} minutes in all on {results.machine}. "
        "The judge is the oracle of the simulated world; no training step sees it."
    )


def readme_block(results: ExperimentResults) -> str:
    """The table of greedy answers and of the best of n for the README, with where it comes from."""
    shown = {name: arm for name, arm in results.arms.items() if arm.decoding == GREEDY or name.endswith("best-of")}
    metrics = {name: info for name, info in results.metrics.items() if name != "kl"}
    seeds = ", ".join(map(str, results.seeds))
    origin = (
        f"`{results.command}` on {results.created}, seeds {seeds}, {results.machine}; "
        "95 % intervals over seeds and prompts. "
        "Sampled answers, differences and reward models: [docs/results/sim_arms.md](docs/results/sim_arms.md)."
    )
    table_of_arms = arm_table(results.model_copy(update={"arms": shown, "metrics": metrics}))
    return f"{table_of_arms}\n\n{origin}"


def _ablation(results: ExperimentResults) -> list[str]:
    """Which expected signs hold: the interval on the expected side of 0, the mean alone, or neither."""
    ablations = {(c.arm, c.metric): c for c in results.comparisons if c.baseline == FINE_GRAINED}
    rows: list[list[str]] = []
    for arm, signs in SIGNS.items():
        for metric, sign in signs:
            if (arm, metric) in ablations:
                rows.append(_sign_row(ablations[arm, metric], sign, results))
    if not rows:
        return []
    signs = table(["left out", "metric", "expected", "mean [interval]", "holds"], rows)
    return ["## Ablation", "The signs of Table 5 of Wu et al., each arm less the full fine-grained arm.", signs]


def _sign_row(comparison: Comparison, sign: int, results: ExperimentResults) -> list[str]:
    info, difference = results.metrics[comparison.metric], comparison.difference
    right = difference.mean is not None and difference.mean * sign > 0
    holds = "yes" if right and difference.excludes_zero else "in the mean only" if right else "no"
    return [
        ABLATIONS[comparison.arm], titled(info), "higher" if sign > 0 else "lower",
        mean_and_interval(difference, info, signed=True), holds,
    ]  # fmt: skip


def _quality_table(results: ExperimentResults) -> str:
    rows: list[list[str]] = []
    for head in results.reward_models.values():
        pairs = "pair_accuracy" in head.metrics
        accuracy = head.metrics.get("pair_accuracy" if pairs else "accuracy")
        trivial = head.metrics.get("longer_wins" if pairs else "majority_accuracy")
        auroc = head.metrics.get("auroc")
        rows.append(
            [head.label, head.density, _share(accuracy), _share(trivial), "-" if auroc is None else f"{auroc:.3f}"]
        )
    return table(["head", "density", "accuracy", "majority, or longer wins", "AUROC"], rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
