"""What the seeds of the customisation experiment say together, from its folders alone: results, trade-off and page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.customisation.seed import CONDITIONED, SOUP, SOURCE, SWEEP, SWEEP_SOUP, CustomConfig
from experiments.lib.outcomes import this_machine, today
from experiments.lib.pages import difference_table, made_of, notes, page, table, titled
from spanwise.core import ConfigError
from spanwise.evals.pages import SHARE
from spanwise.evals.runs import (
    SCORES_FILE,
    Measure,
    RunScores,
    SettingGroup,
    TradeOff,
    coverage,
    front_rows,
    join_answers,
    join_seeds,
)
from spanwise.evals.statistics import MISSING, Arm, ExperimentResults, arm_estimates, compare_arms, mean_and_interval
from spanwise.quickstart import SIM_METRICS

SHOWN = ("words", "relevance_error", "fact_error", "completeness", "quality", "kl")
AXES = (("relevance_error", "completeness"), ("fact_error", "completeness"), ("relevance_error", "fact_error"))
MEASURES = (
    Measure(metric="relevance_error", worst=1.0, best=0.0),
    Measure(metric="fact_error", worst=1.0, best=0.0),
    Measure(metric="completeness", worst=0.0, best=1.0),
)
"""The whole range of each metric, so that no bound was chosen."""
TITLES = {
    SWEEP: "Sweep",
    CONDITIONED: "One conditioned policy",
    SOUP: "Soups",
    SWEEP_SOUP: "Soups of the sweep's ends",
}


def finished(root: Path, config: CustomConfig, seed: int) -> bool:
    """Whether every setting of the seed was measured."""
    arms = {arm for own in config.arms().values() for arm in own}
    return all((root / arm / f"seed-{seed}" / SCORES_FILE).exists() for arm in arms)


def summarize_custom(
    root: Path, config: CustomConfig, seeds: Sequence[int], *, command: str
) -> tuple[ExperimentResults, TradeOff]:
    """Joins the seeds and saves `results.json` and `trade_off.json` in `root`; every kind of policy is a group."""
    names = list(dict.fromkeys(arm for own in config.arms().values() for arm in own))
    scores = {arm: {seed: RunScores.load(root / arm / f"seed-{seed}") for seed in seeds} for arm in names}
    tables = {arm: join_seeds(own) for arm, own in scores.items()}
    labels = _labels(config)
    results = ExperimentResults(
        title="Customisation on the simulated world",
        created=today(),
        machine=this_machine(),
        command=command,
        seeds=tuple(seeds),
        seconds={arm: round(sum(one.seconds for one in own.values()), 1) for arm, own in scores.items()},
        config=config.model_dump(mode="json"),
        metrics=SIM_METRICS,
        arms={arm: Arm(label=labels[arm], metrics=arm_estimates(tables[arm], arm=arm)) for arm in names},
        comparisons=compare_arms(tables, SIM_METRICS, _pairs(config)),
        notes=_notes(config),
        examples=tuple(join_answers({arm: own[seeds[0]] for arm, own in scores.items()})),
    )
    plan = TradeOff(dial=f"weight of {SOURCE}", groups=_groups(config), axes=AXES, measures=MEASURES)
    plan.check(results, str(root))
    results.save(root)
    plan.save(root)
    return results, plan


def keep_config(root: Path, config: CustomConfig) -> None:
    """Writes the config of the experiment, or raises ConfigError where `root` holds one with another."""
    path = root / "config.yaml"
    if path.exists() and CustomConfig.load(path) != config:
        raise ConfigError(f"{path}: the folder holds an experiment with other settings; choose another folder.")
    config.save(path)


def _groups(config: CustomConfig) -> tuple[SettingGroup, ...]:
    weights = tuple(f"{weight:g}" for weight in config.weights)
    shares = tuple(f"{share:.0%} high" for share in config.shares())
    total = config.total_steps()
    note_of = {
        SWEEP: f"One run per weight, {config.study.trainer.steps} PPO steps each, {total} in all.",
        CONDITIONED: f"One run of {total} PPO steps; the weight stands in the prompt.",
        SOUP: f"Weights of two policies averaged, trained for {total // 2} PPO steps each.",
        SWEEP_SOUP: "Weights of the sweep's first and last policy averaged; no training of its own.",
    }
    return tuple(
        SettingGroup(
            title=TITLES[kind],
            arms=arms,
            positions=weights if kind in (SWEEP, CONDITIONED) else shares,
            note=note_of[kind],
        )
        for kind, arms in config.arms().items()
    )


def _labels(config: CustomConfig) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for kind, group in zip(config.arms(), _groups(config), strict=True):
        for arm, position in zip(group.arms, group.positions, strict=True):
            found.setdefault(arm, f"{TITLES[kind]}, {position}")
    return found


def _pairs(config: CustomConfig) -> list[tuple[str, str]]:
    """Short and long against medium first, then one policy against the sweep, weight by weight."""
    arms = config.arms()
    middle = arms[SWEEP][len(config.weights) // 2]
    ends = [(arm, middle) for arm in (arms[SWEEP][-1], arms[SWEEP][0]) if arm != middle]
    return [*ends, *zip(arms[CONDITIONED], arms[SWEEP], strict=True)]


def _notes(config: CustomConfig) -> tuple[str, ...]:
    return (
        "Answers are sampled, one per test prompt and setting, and judged by the oracle of the simulated world, which "
        "no training step sees.",
        f"Sweep, conditioned policy and soups take {config.total_steps()} PPO steps per seed each, with the same "
        "responses per step; the soups of the sweep's ends take none of their own.",
        "The conditioned policy starts from an SFT policy of its own, which read the same demonstrations with weights "
        "in their prompts; its KL is to that policy.",
    )


def customisation_page(results: ExperimentResults, plan: TradeOff) -> str:
    """The page in Markdown."""
    seeds, minutes = made_of(results)
    parts = [
        "# Results of the customisation experiment",
        f"Made by `{results.command}` on {results.created}: seeds {seeds}, {minutes:.0f} minutes of training and "
        f"measuring on {results.machine}. What is compared: [customisation](../guides/customisation.md).",
        "Means over prompts and seeds with their 95 % intervals. *Front*: no other setting of the same kind is at "
        "least as good in irrelevance, factual errors and completeness and better in one; in how many of the seeds.",
        *(part for group in plan.groups for part in _group(results, plan, group)),
        "## How much each kind covers",
        "The share of all that is possible (no errors, nothing missing) that is no better than one of the kind's "
        "settings: the hypervolume of irrelevance, factual errors and completeness over their whole ranges, seed by "
        "seed, with Student's interval over seeds.",
        _coverage(results, plan),
        "## Differences on the same prompts",
        difference_table(results, results.comparisons),
        "## What to know",
        notes(results),
    ]
    return page(parts)


def _group(results: ExperimentResults, plan: TradeOff, group: SettingGroup) -> list[str]:
    metrics = [one.metric for one in plan.measures]
    fronts = {row.arm: row for row in front_rows(results, group.arms, metrics)}
    head = [plan.dial, *(titled(results.metrics[name]) for name in SHOWN), "front"]
    rows = [
        [
            position,
            *(mean_and_interval(results.arms[arm].metrics.get(m), results.metrics[m]) for m in SHOWN),
            f"{'yes' if fronts[arm].on_front else 'no'}, {fronts[arm].seeds_on_front} of {fronts[arm].seeds}",
        ]
        for arm, position in zip(group.arms, group.positions, strict=True)
    ]
    return [f"## {group.title}", group.note, table(head, rows)]


def _coverage(results: ExperimentResults, plan: TradeOff) -> str:
    rows = [
        [
            row.title,
            mean_and_interval(row.volume, SHARE),
            MISSING if row.difference is None else mean_and_interval(row.difference, SHARE, signed=True),
        ]
        for row in coverage(results, plan)
    ]
    return table(["kind", "covered, %", f"less {next(iter(TITLES.values()))}, points"], rows)
