"""What the seeds of the study of edits say together: tables, curves, and steps to the sequence arm's best.

A function of the stored outcomes and run folders alone. Gold curves are had by letting the oracle judge the answers to
held-out prompts that each run logged at its evaluations; no training step saw it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from experiments.edits.arms import ARMS, DENSITY, MAIN, PLACEBO, SEQUENCE, SFT
from experiments.edits.seed import EditSeed, EditStudyConfig
from experiments.lib.outcomes import StoredTable, stacked, this_machine, today
from spanwise.core import DataError, parse, read_json, read_lines
from spanwise.evals.statistics import (
    Arm,
    Estimate,
    ExperimentResults,
    arm_estimates,
    compare_arms,
    seed_interval,
)
from spanwise.quickstart import SIM_METRICS
from spanwise.sim import judge

Curve = dict[int, float]
"""A quantity by PPO step."""


@dataclass(frozen=True, slots=True)
class Reach:
    """When an arm reaches the best gold score of another, per seed; None = not within the run."""

    arm: str
    baseline: str
    baseline_steps: tuple[int, ...]
    """The step at which the baseline is at its best."""
    steps: tuple[int | None, ...]

    @property
    def ratio(self) -> float | None:
        """Median over the seeds of steps by baseline steps; None where the median seed does not reach it."""
        shares = [
            float("inf") if own is None else own / max(1, other)
            for own, other in zip(self.steps, self.baseline_steps, strict=True)
        ]
        middle = median(shares) if shares else float("inf")
        return None if middle == float("inf") else middle


@dataclass(frozen=True, slots=True)
class EditResults:
    """Everything that the page shows."""

    table: ExperimentResults
    curves: dict[str, dict[str, tuple[Curve, ...]]]
    """By quantity (gold, kl, length) and arm: one curve per seed."""
    reaches: tuple[Reach, ...]
    quality: dict[str, dict[str, Estimate]]
    """By reward model: accuracies and areas under the curve over the seeds."""
    occlusion_gap: Estimate | None
    """Area of the main token model less that of the occluded sequence model, edits without noise."""
    facts: dict[str, float]
    """Numbers of pairs."""


def collect(root: Path, config: EditStudyConfig, seeds: Sequence[int], *, command: str) -> EditResults:
    """Joins the stored outcomes; arms that a seed lacks are left out. DataError where there is none, or of other
    settings.
    """
    parts = [EditSeed(config, seed, root, say=_silent) for seed in seeds]
    arms = [arm for arm in (SFT, *config.arms) if all(part.outcome_file(arm).exists() for part in parts)]
    if not arms or not seeds:
        raise DataError(f"{root}: no arm is finished for all of the seeds {list(seeds)}; run the study first.")
    outcomes = {arm: {part.seed: _load(part, arm) for part in parts} for arm in arms}
    qualities = [_load(part, "quality") for part in parts if part.outcome_file("quality").exists()]
    trained = [arm for arm in arms if arm != SFT]
    gold = {arm: tuple(gold_curve(part, arm) for part in parts) for arm in trained}
    curves = {
        "gold": gold,
        "kl": {arm: tuple(metric_curve(part, arm, "eval/kl/response") for part in parts) for arm in trained},
        "length": {arm: tuple(metric_curve(part, arm, "eval/response/length") for part in parts) for arm in trained},
    }
    return EditResults(
        table=_table(config, seeds, outcomes, command),
        curves=curves,
        reaches=tuple(
            reach(gold, arm, base)
            for base in (SEQUENCE, "sequence-original")
            for arm in trained
            if base in trained and arm != base
        ),
        quality=_quality(qualities, seeds),
        occlusion_gap=_gap(qualities, seeds),
        facts={name: fmean(found[name] for found in qualities) for name in _facts(qualities)},
    )


def gold_curve(part: EditSeed, arm: str) -> Curve:
    """Mean true score of the answers to the held-out prompts at each evaluation of a run."""
    items = part.items("rl-heldout", part.config.curve_prompts)
    by_step: dict[int, list[float]] = {}
    for row in _rows(part.folder / "arms" / arm / "samples.jsonl"):
        scores = by_step.setdefault(row["step"], [])
        item = items[len(scores)]
        if item.record.prompt != row["prompt"]:
            raise DataError(f"{part.folder / 'arms' / arm}: its samples are of other prompts; remove the folder.")
        cut = not row["tokens"] or row["tokens"][-1] != "</s>"
        scores.append(judge(row["response"], item.truth, truncated=cut).quality)
    return {step: fmean(scores) for step, scores in by_step.items()}


def metric_curve(part: EditSeed, arm: str, name: str) -> Curve:
    """A logged metric of a run at each evaluation."""
    rows = _rows(part.folder / "arms" / arm / "metrics.jsonl")
    return {row["step"]: row[name] for row in rows if row.get(name) is not None}


def reach(gold: Mapping[str, Sequence[Curve]], arm: str, baseline: str) -> Reach:
    """Steps until `arm` is at least as good as `baseline` ever is after its start, seed by seed."""
    ends: list[int] = []
    found: list[int | None] = []
    for own, other in zip(gold[arm], gold[baseline], strict=True):
        end = max((step for step in other if step > 0), key=lambda step: other[step])
        ends.append(end)
        found.append(next((step for step in sorted(own) if step > 0 and own[step] >= other[end]), None))
    return Reach(arm, baseline, tuple(ends), tuple(found))


def _table(
    config: EditStudyConfig, seeds: Sequence[int], outcomes: Mapping[str, Mapping[int, Any]], command: str
) -> ExperimentResults:
    tables = {
        arm: stacked(
            {
                seed: {name: StoredTable.model_validate(table) for name, table in found["tables"].items()}
                for seed, found in by_seed.items()
            },
            SIM_METRICS,
        )
        for arm, by_seed in outcomes.items()
    }
    wanted = [(MAIN, SEQUENCE), (MAIN, PLACEBO), (MAIN, DENSITY), (MAIN, "sequence-original")]
    wanted += [(MAIN, "token"), (MAIN, "token-edited"), (MAIN, "token-full"), ("hybrid", MAIN), ("hybrid", SEQUENCE)]
    wanted += [("oracle", MAIN), (SEQUENCE, "sequence-original"), (MAIN, SFT)]
    seconds: dict[str, float] = {
        arm: round(sum(float(found["seconds"]["train"]) for found in by_seed.values()), 1)
        for arm, by_seed in outcomes.items()
    }
    return ExperimentResults(
        title="Edits on the simulated world",
        created=today(),
        machine=this_machine(),
        command=command,
        seeds=tuple(seeds),
        seconds=seconds,
        config=config.model_dump(mode="json"),
        metrics=SIM_METRICS,
        arms={
            arm: Arm(label=label_of(arm), kind="sft" if arm == SFT else "ppo", metrics=arm_estimates(own, arm=arm))
            for arm, own in tables.items()
        },
        comparisons=compare_arms(tables, SIM_METRICS, [(a, b) for a, b in wanted if a in tables and b in tables]),
    )


def label_of(arm: str) -> str:
    """The arm's name in tables and legends."""
    return "SFT" if arm == SFT else ARMS[arm].label


def _quality(found: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, dict[str, Estimate]]:
    if not found:
        return {}
    models = [name for name, value in found[0].items() if isinstance(value, dict) and "accuracy" in value]
    return {model: _over_seeds([_flat(one[model]) for one in found], seeds) for model in models}


def _flat(model: Mapping[str, Any]) -> dict[str, float]:
    places = {f"{name}/{noise}": v for noise, own in model["localisation"].items() for name, v in own.items()}
    return {**{f"accuracy/{name}": value for name, value in model["accuracy"].items()}, **places}


def _over_seeds(rows: Sequence[Mapping[str, float]], seeds: Sequence[int]) -> dict[str, Estimate]:
    return {name: seed_interval(dict(zip(seeds, (row[name] for row in rows), strict=False))) for name in rows[0]}


def _gap(found: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Estimate | None:
    token = ARMS[MAIN].token
    if not found or any(token not in one for one in found):
        return None
    gaps = [_area(one, token) - _area(one, ARMS[SEQUENCE].sequence) for one in found]
    return seed_interval(dict(zip(seeds, gaps, strict=False)))


def _area(found: Mapping[str, Any], model: str) -> float:
    return float(found[model]["localisation"]["exact"]["auroc"])


def _facts(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name, value in found[0].items() if name != "seed" and isinstance(value, int)] if found else []


def _load(part: EditSeed, name: str) -> dict[str, Any]:
    path = part.outcome_file(name)
    stored = read_json(path)
    ours = part.config.model_dump(mode="json")
    if {**stored["config"], "arms": 0} != {**ours, "arms": 0}:
        raise DataError(f"{path}: made with other settings than now asked for; give another folder or remove it.")
    return stored


def _rows(path: Path) -> list[dict[str, Any]]:
    return [parse(line.decode()) for _, line in read_lines(path)]


def _silent(_: str) -> None:
    """Says nothing."""
