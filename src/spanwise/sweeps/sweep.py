"""`spanwise sweep`: trains and measures every setting that is missing, then joins what the run folders hold.

Runs whose `scores.json` is there are finished and skipped; one that was stopped goes on from its newest training
state. How a setting is trained and measured is the runner's (`rl.py`, `sim_settings.py`).
"""

import datetime
import itertools
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from spanwise.core import ConfigError
from spanwise.evals.rivals import arm_name
from spanwise.evals.runs import SCORES_FILE, RunScores, SettingGroup, TradeOff, join_answers, join_seeds
from spanwise.evals.statistics import Arm, ExperimentResults, MetricInfo, ScoreTable, arm_estimates, compare_arms
from spanwise.sweeps.config import START, Say, SweepConfig


@runtime_checkable
class SettingRunner(Protocol):
    """Trains one setting in a folder and says what its answers score."""

    def run(self, weights: Mapping[str, float], seed: int, folder: Path) -> RunScores:
        """Trains with these weights by source, goes on where the folder holds a part of it, and measures."""
        ...

    def start(self, seed: int) -> RunScores:
        """Measures the policy that every run of the seed begins with: the free rival of all settings."""
        ...


def run_sweep(config: SweepConfig, runner: SettingRunner, *, say: Say) -> None:
    """Runs every setting and seed that is not finished; raises ConfigError where the folder holds another sweep."""
    check_same_sweep(config)
    config.save(config.run_dir / "config.yaml")
    jobs = [(seed, setting, weights) for seed in config.seeds for setting, weights in config.points().items()]
    for seed in config.seeds:
        if not (config.folder(START, seed) / SCORES_FILE).exists():
            say(f"The start policy, seed {seed}")
            runner.start(seed).save(config.folder(START, seed))
    for number, (seed, setting, weights) in enumerate(jobs, start=1):
        folder = config.folder(setting, seed)
        name = f"{number} of {len(jobs)}: {setting}, seed {seed}"
        if (folder / SCORES_FILE).exists():
            say(f"{name} is there already")
            continue
        say(name)
        start = time.perf_counter()
        scores = runner.run(weights, seed, folder)
        spent = round(time.perf_counter() - start, 1)
        scores.model_copy(update={"seconds": scores.seconds + spent}).save(folder)


def check_same_sweep(config: SweepConfig) -> None:
    """Settings and seeds may be added to a sweep; what every run shares may not change."""
    saved = config.run_dir / "config.yaml"
    if not saved.exists():
        if config.run_dir.exists() and any(config.run_dir.iterdir()):
            raise ConfigError(f"{config.run_dir}: holds files but no sweep; choose another run_dir.")
        return
    before = SweepConfig.load(saved)
    for key in ("base", "overrides", "sim", "measured_policy"):
        if getattr(before, key) != getattr(config, key):
            raise ConfigError(f"{config.run_dir}: holds a sweep with another {key}; choose another run_dir.")
    known, asked = before.points(), config.points()
    for setting in known.keys() & asked.keys():
        if known[setting] != asked[setting]:
            raise ConfigError(f"{config.run_dir}: setting {setting} had other weights; name the new one otherwise.")


def collect(config: SweepConfig, *, command: str) -> tuple[ExperimentResults, TradeOff]:
    """Joins the run folders of the settings, and saves `results.json` and `trade_off.json` beside them."""
    scores = {
        setting: {seed: RunScores.load(config.folder(setting, seed)) for seed in config.seeds}
        for setting in config.points()
    }
    arms, tables = _decoded(config, scores)
    metrics = _shared_metrics(scores, {setting: tables[setting] for setting in scores})
    first, *others = scores
    beside = [arm for arm, described in arms.items() if described.policy in scores and arm not in scores]
    rivals = {arm: described.rivals for arm, described in arms.items()}
    results = ExperimentResults(
        title=f"Sweep over the {config.dial()}",
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        command=command,
        seeds=config.seeds,
        seconds={
            name: round(sum(run_scores.seconds for run_scores in by_seed.values()), 1)
            for name, by_seed in scores.items()
        },
        config=config.model_dump(mode="json"),
        metrics=metrics,
        arms={
            arm: described.model_copy(
                update={"metrics": arm_estimates({m: t for m, t in tables[arm].items() if m in metrics}, arm=arm)}
            )
            for arm, described in arms.items()
        },
        comparisons=compare_arms(tables, metrics, _pairs(first, others, arms), rivals=rivals),
        notes=_notes(config),
        examples=tuple(join_answers({setting: by_seed[config.seeds[0]] for setting, by_seed in scores.items()})),
    )
    plan = TradeOff(
        dial=config.dial(),
        groups=tuple(
            SettingGroup(title=title, arms=tuple(group), positions=config.positions())
            for title, group in (
                (_title(arms[first]), list(scores)),
                (_title(arms[beside[0]]) if beside else "", beside),
            )
            if group
        ),
        axes=config.axes or _axes(metrics),
    )
    plan.check(results, f"{config.run_dir}: axes")
    results.save(config.run_dir)
    plan.save(config.run_dir)
    return results, plan


def _decoded(
    config: SweepConfig, scores: Mapping[str, Mapping[int, RunScores]]
) -> tuple[dict[str, Arm], dict[str, dict[str, ScoreTable]]]:
    """Arms and tables of the start policy and of every setting, each decoding below the other.

    The start policy is the free rival of all settings; a sweep of before it was measured has none.
    """
    start = {
        seed: RunScores.load(config.folder(START, seed))
        for seed in config.seeds
        if (config.folder(START, seed) / SCORES_FILE).exists()
    }
    policies = ({START: start} if len(start) == len(config.seeds) else {}) | dict(scores)
    arms: dict[str, Arm] = {}
    tables: dict[str, dict[str, ScoreTable]] = {}
    for policy, by_seed in policies.items():
        label, kind = ("Start policy", "") if policy == START else (policy, "fine-grained")
        first = next(iter(by_seed.values()))
        for decoding in (first.decoding, *first.also):
            name = policy if decoding == first.decoding else arm_name(policy, decoding)
            own = {seed: one if name == policy else one.also[decoding] for seed, one in by_seed.items()}
            tables[name] = join_seeds(own)
            arms[name] = Arm(label=label, kind=kind, decoding=decoding, policy=policy)
    free = tuple(arm for arm, described in arms.items() if described.policy == START)
    held = {arm: described.model_copy(update={"rivals": free}) for arm, described in arms.items() if arm not in free}
    return {**arms, **held}, tables


def _pairs(first: str, others: Sequence[str], arms: Mapping[str, Arm]) -> list[tuple[str, str]]:
    """Each setting less the first, and every setting less the start policy that decodes alike."""
    start = {described.decoding: arm for arm, described in arms.items() if described.policy == START}
    held = [
        (arm, start[described.decoding])
        for arm, described in arms.items()
        if described.policy != START and described.decoding in start
    ]
    return [*((name, first) for name in others), *held]


def _title(arm: Arm) -> str:
    return f"Sweep ({arm.decoding})" if arm.decoding else "Sweep"


def _shared_metrics(
    scores: Mapping[str, Mapping[int, RunScores]], tables: Mapping[str, Mapping[str, object]]
) -> dict[str, MetricInfo]:
    first = next(iter(next(iter(scores.values())).values()))
    return {name: info for name, info in first.metrics.items() if all(name in table for table in tables.values())}


def _axes(metrics: Mapping[str, MetricInfo]) -> tuple[tuple[str, str], ...]:
    """Every pair of rewards; where rewards are not among the metrics, every pair that improves in some direction."""
    rewards = [name for name in metrics if name.startswith("reward/")]
    chosen = rewards if len(rewards) > 1 else [name for name, info in metrics.items() if info.better != "none"]
    return tuple(itertools.combinations(chosen[:4], 2))


def _notes(config: SweepConfig) -> tuple[str, ...]:
    judge = (
        "Judged by the oracle of the simulated world, which no training step sees."
        if config.sim is not None
        else "Measured by the rewards that were trained on: they say what the weights do, not how good the answers are."
    )
    single = ("One seed: intervals are over prompts and say nothing of other runs.",) if len(config.seeds) == 1 else ()
    return (judge, *single)
