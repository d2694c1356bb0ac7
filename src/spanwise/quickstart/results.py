"""What the seeds of a study say together: estimates, comparisons and notes as `ExperimentResults`.

A seed's outcome is a file of its own, `<root>/outcomes/seed-<n>.json`, so that a study of several seeds can be
stopped and continued, or its seeds run apart, and the results are a function of these files.
"""

import datetime
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict

from spanwise.core import DataError, read_json, write_json
from spanwise.evals.report import verdict_sentences
from spanwise.evals.rivals import GREEDY
from spanwise.evals.statistics import (
    Arm,
    Example,
    ExperimentResults,
    RewardModelQuality,
    ScoreTable,
    arm_estimates,
    compare_arms,
)
from spanwise.quickstart.answers import SIM_METRICS
from spanwise.quickstart.config import (
    ABLATIONS,
    CEILINGS,
    FINE_GRAINED,
    LABELS,
    ORACLE_DENSE,
    ORACLE_TERMINAL,
    PREFERENCE,
    SFT,
    SFT_MORE,
    SimStudyConfig,
)
from spanwise.quickstart.free import best_of_arm, greedily, rival_arms, rivals_of
from spanwise.quickstart.study import SeedOutcome

KINDS = {SFT: "sft", SFT_MORE: "sft", PREFERENCE: "preference", FINE_GRAINED: "fine-grained"} | dict.fromkeys(
    CEILINGS, "ceiling"
)


class _StoredTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    totals: list[float]
    counts: list[float]


class _StoredOutcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    config: dict[str, object]
    ids: list[str]
    tables: dict[str, dict[str, _StoredTable]]
    reward_models: dict[str, RewardModelQuality]
    seconds: dict[str, float]
    examples: list[Example]


def outcome_file(root: Path, seed: int) -> Path:
    """Where the outcome of `seed` lies."""
    return root / "outcomes" / f"seed-{seed}.json"


def save_outcome(root: Path, seed: int, config: SimStudyConfig, outcome: SeedOutcome) -> None:
    """Writes one seed's outcome beside-then-rename."""
    first = next(iter(next(iter(outcome.tables.values())).values()))
    stored = _StoredOutcome(
        seed=seed,
        config=config.model_dump(mode="json"),
        ids=list(first.ids),
        tables={
            arm: {
                metric: _StoredTable(totals=table.totals[0].tolist(), counts=table.counts[0].tolist())
                for metric, table in tables.items()
            }
            for arm, tables in outcome.tables.items()
        },
        reward_models=outcome.reward_models,
        seconds=outcome.seconds,
        examples=outcome.examples,
    )
    write_json(outcome_file(root, seed), stored.model_dump(mode="json"))


def summarize(
    root: Path, config: SimStudyConfig, seeds: Sequence[int], *, title: str, command: str
) -> ExperimentResults:
    """Joins the stored outcomes of `seeds`; raises DataError when one was made with another config."""
    stored = {seed: _load(root, seed, config) for seed in seeds}
    arms = _arms(config)
    tables = {arm: _stack(stored, arm) for arm in arms}
    rivals = {arm: described.rivals for arm, described in arms.items()}
    return ExperimentResults(
        title=title,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=_machine(),
        command=command,
        seeds=tuple(seeds),
        seconds=_seconds(stored.values()),
        config=config.model_dump(mode="json"),
        metrics=SIM_METRICS,
        arms={
            arm: described.model_copy(update={"metrics": arm_estimates(tables[arm], arm=arm)})
            for arm, described in arms.items()
        },
        comparisons=compare_arms(tables, SIM_METRICS, _pairs(arms), rivals=rivals),
        reward_models=_quality([outcome.reward_models for outcome in stored.values()]),
        notes=(
            f"Every arm answers each test prompt once greedily and {config.test_samples} times sampled; the oracle of "
            "the simulated world, which no training step sees, judges all.",
            "Prompts of the test are other than those of SFT, feedback and PPO.",
        ),
        examples=tuple(stored[seeds[0]].examples),
    )


def greedy_sentences(results: ExperimentResults) -> list[str]:
    """What the study says of greedy answers, which is what a user of the policies would read."""
    greedy = tuple(one for one in results.comparisons if results.arms[one.arm].decoding == GREEDY)
    return verdict_sentences(results.model_copy(update={"comparisons": greedy}))


def _load(root: Path, seed: int, config: SimStudyConfig) -> _StoredOutcome:
    path = outcome_file(root, seed)
    outcome = _StoredOutcome.model_validate(read_json(path))
    if outcome.config != config.model_dump(mode="json"):
        raise DataError(f"{path}: made with another config than now asked for; give another folder or remove it.")
    return outcome


def _arms(config: SimStudyConfig) -> dict[str, Arm]:
    """Every arm greedily and sampled, one below the other; the free rivals behind the SFT policy."""
    sampled, samples = f"temperature {config.sampling.temperature:g}", f"{config.test_samples} answers a prompt"
    arms: dict[str, Arm] = {}
    for arm in config.arms:
        one = Arm(label=LABELS[arm], kind=KINDS.get(arm, "ablation"), policy=arm, rivals=rivals_of(arm, config))
        arms[greedily(arm)] = one.model_copy(update={"decoding": GREEDY})
        arms[arm] = one.model_copy(update={"decoding": sampled, "description": samples})
        if arm == SFT:
            arms |= rival_arms(config)
    return arms


def _stack(stored: Mapping[int, _StoredOutcome], arm: str) -> dict[str, ScoreTable]:
    """Tables over all seeds. Prompts of different seeds differ; their place in the test stands for them."""
    tables: dict[str, ScoreTable] = {}
    for metric in SIM_METRICS:
        if not all(metric in outcome.tables[arm] for outcome in stored.values()):
            continue
        by_seed = {
            seed: ScoreTable(
                tuple(outcome.ids),
                np.array([outcome.tables[arm][metric].totals]),
                np.array([outcome.tables[arm][metric].counts]),
                (seed,),
            )
            for seed, outcome in stored.items()
        }
        tables[metric] = ScoreTable.stack(by_seed)
    return tables


def _pairs(arms: Mapping[str, Arm]) -> list[tuple[str, str]]:
    """The comparisons of interest, greedy answers first: what training adds to the SFT policy, then arm by arm."""
    greedy = [
        (FINE_GRAINED, greedily(SFT)), (FINE_GRAINED, best_of_arm(FINE_GRAINED)), (PREFERENCE, greedily(SFT)),
        (PREFERENCE, best_of_arm(PREFERENCE)), (FINE_GRAINED, greedily(PREFERENCE)),
        (FINE_GRAINED, greedily(SFT_MORE)), (ORACLE_DENSE, greedily(SFT)), (ORACLE_DENSE, greedily(ORACLE_TERMINAL)),
        *((arm, greedily(FINE_GRAINED)) for arm in ABLATIONS),
    ]  # fmt: skip
    sampled = [(FINE_GRAINED, PREFERENCE), (FINE_GRAINED, SFT), (PREFERENCE, SFT), (FINE_GRAINED, SFT_MORE)]
    sampled += [(arm, FINE_GRAINED) for arm in ABLATIONS]
    wanted = [*((greedily(arm), baseline) for arm, baseline in greedy), *sampled]
    return [(arm, baseline) for arm, baseline in wanted if arm in arms and baseline in arms]


def _quality(by_seed: Sequence[Mapping[str, RewardModelQuality]]) -> dict[str, RewardModelQuality]:
    """Means over seeds of the held-out metrics of each head; a reliability plot only where there is one seed."""
    if len(by_seed) == 1:
        return dict(by_seed[0])
    quality_by_head: dict[str, RewardModelQuality] = {}
    for head, first in by_seed[0].items():
        metrics: dict[str, float | None] = {}
        for name in dict.fromkeys(name for heads in by_seed for name in heads[head].metrics):
            values = [value for heads in by_seed if (value := heads[head].metrics.get(name)) is not None]
            metrics[name] = fmean(values) if values else None
        quality_by_head[head] = first.model_copy(update={"metrics": metrics, "reliability": ()})
    return quality_by_head


def _seconds(outcomes: Iterable[_StoredOutcome]) -> dict[str, float]:
    total: dict[str, float] = {}
    for outcome in outcomes:
        for phase, seconds in outcome.seconds.items():
            total[phase] = round(total.get(phase, 0.0) + seconds, 1)
    return total


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
