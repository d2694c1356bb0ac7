"""What the seeds of a detoxification study say together, as `ExperimentResults` and as curves.

Every arm of every seed is a file of its own, `<root>/outcomes/<arm>-seed-<n>.json`, so that a study that was stopped
goes on with what is missing, and the results are a function of these files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from experiments.detox.measure import DETOX_METRICS
from experiments.detox.seed import HOLISTIC, LABELS, START, ArmOutcome, DetoxStudyConfig, steps_to_reach
from experiments.lib.outcomes import StoredTable, stacked, this_machine, today
from spanwise.core import DataError, read_json, write_json
from spanwise.evals.statistics import Arm, Example, ExperimentResults, arm_estimates, compare_arms


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    seed: int
    config: dict[str, object]
    tables: dict[str, StoredTable]
    curve: list[tuple[int, float]]
    seconds: float
    kl: float
    dropped: float
    examples: list[Example]


@dataclass(frozen=True)
class Curves:
    """Max toxicity on validation prompts by step, one row per seed, and when an arm got to where holistic PPO ended."""

    steps: tuple[int, ...]
    values: dict[str, list[list[float]]]
    """By arm, one list per seed; the start policy has one value."""
    to_reach: dict[str, list[int | None]]
    """By arm, one number of steps per seed; None where it was never reached."""
    kl: dict[str, float]
    """By arm, nats per response from the start policy after the last step."""
    dropped: dict[str, float]
    """By arm, the share of training responses that could not be scored."""


def outcome_file(root: Path, arm: str, seed: int) -> Path:
    """Where the outcome of an arm lies."""
    return root / "outcomes" / f"{arm}-seed-{seed}.json"


def save_outcome(root: Path, arm: str, seed: int, config: DetoxStudyConfig, outcome: ArmOutcome) -> None:
    """Writes the outcome of one arm of one seed beside-then-rename."""
    stored = _Outcome(
        arm=arm,
        seed=seed,
        config=_settings(config),
        tables={name: StoredTable.of(table) for name, table in outcome.tables.items()},
        curve=outcome.curve,
        seconds=outcome.seconds,
        kl=outcome.kl,
        dropped=outcome.dropped,
        examples=outcome.examples,
    )
    write_json(outcome_file(root, arm, seed), stored.model_dump(mode="json"))


def whole_seeds(root: Path, arms: Sequence[str], seeds: Sequence[int]) -> list[int]:
    """The seeds of which every arm is there."""
    return [seed for seed in seeds if all(outcome_file(root, arm, seed).exists() for arm in arms)]


def summarize(
    root: Path, config: DetoxStudyConfig, arms: Sequence[str], seeds: Sequence[int], *, title: str,
    notes: Sequence[str], command: str,
) -> tuple[ExperimentResults, Curves]:  # fmt: skip
    """Joins the stored outcomes; raises DataError when one was made with other settings."""
    stored = {arm: [_load(root, arm, seed, config) for seed in seeds] for arm in arms}
    tables = {
        arm: stacked({one.seed: one.tables for one in outcomes}, DETOX_METRICS) for arm, outcomes in stored.items()
    }
    pairs = [(arm, HOLISTIC) for arm in arms if arm not in (START, HOLISTIC)]
    pairs += [(arm, START) for arm in arms if arm != START]
    known = [(arm, baseline) for arm, baseline in pairs if arm in arms and baseline in arms]
    results = ExperimentResults(
        title=title,
        created=today(),
        machine=this_machine(),
        command=command,
        seeds=tuple(seeds),
        seconds={arm: round(sum(o.seconds for o in outcomes), 1) for arm, outcomes in stored.items()},
        config=_settings(config),
        metrics=DETOX_METRICS,
        arms={
            arm: Arm(
                label=LABELS[arm],
                kind="sft" if arm == START else "preference" if arm == HOLISTIC else "fine-grained",
                metrics=arm_estimates(tables[arm], arm=arm),
            )
            for arm in arms
        },
        comparisons=compare_arms(tables, DETOX_METRICS, known),
        notes=tuple(notes),
        examples=_examples(stored),
    )
    return results, _curves(stored)


def _settings(config: DetoxStudyConfig) -> dict[str, object]:
    """What decides the numbers of an arm: everything but which other arms there are."""
    return config.model_dump(mode="json", exclude={"arms"})


def _load(root: Path, arm: str, seed: int, config: DetoxStudyConfig) -> _Outcome:
    path = outcome_file(root, arm, seed)
    outcome = _Outcome.model_validate(read_json(path))
    if outcome.config != _settings(config):
        raise DataError(f"{path}: made with other settings than now asked for; give another folder or remove it.")
    return outcome


def _curves(stored: Mapping[str, Sequence[_Outcome]]) -> Curves:
    values = {arm: [[value for _, value in one.curve] for one in outcomes] for arm, outcomes in stored.items()}
    longest = max((one.curve for outcomes in stored.values() for one in outcomes), key=len)
    ends = [one.curve[-1][1] for one in stored.get(HOLISTIC, [])]
    reached = {
        arm: [steps_to_reach(one.curve, end) for one, end in zip(outcomes, ends, strict=True)]
        for arm, outcomes in stored.items()
        if ends and arm != START
    }
    dropped = {arm: fmean(one.dropped for one in outcomes) for arm, outcomes in stored.items()}
    kl = {arm: fmean(one.kl for one in outcomes) for arm, outcomes in stored.items()}
    return Curves(tuple(step for step, _ in longest), values, reached, kl, dropped)


def _examples(stored: Mapping[str, Sequence[_Outcome]]) -> tuple[Example, ...]:
    """The first seed's examples with the answers of all arms."""
    found: dict[str, Example] = {}
    for outcomes in stored.values():
        for example in outcomes[0].examples:
            before = found.get(example.prompt, Example(prompt=example.prompt))
            found[example.prompt] = before.model_copy(update={"answers": {**before.answers, **example.answers}})
    return tuple(found.values())
