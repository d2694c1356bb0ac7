"""Reads run folders and experiment folders for the report, and says what could not be read instead of hiding it.

A run folder holds config.yaml, metrics.jsonl and samples.jsonl as training writes them, each of which may be absent;
an experiment folder holds results.json and the run folders of its arms. Keys of metrics are open: what is not known
here is read like the rest. A run that was killed may leave half a line, and one that was resumed may tell a step
twice: the later line counts.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from spanwise.core import DataError, read_json, read_lines, read_text
from spanwise.evals.runs.tradeoff import TRADE_OFF_FILE, TradeOff
from spanwise.evals.statistics import IMPROVED, RESULTS_FILE, Comparison, ExperimentResults

WATCHED_FILE = "over_optimisation.json"
"""Where a run folder keeps what was found by a gold score."""
NOTHING_LEARNED = "nothing was learned: the best checkpoint is the start policy"
"""What is said of a run with rewards wherever it is told of, where no checkpoint was better than its start."""
Curve = tuple[tuple[float, float | None], ...]
"""(step, value) by ascending step; None where the value was not finite or not had."""


class SampleRow(BaseModel):
    """One line of samples.jsonl; what a trainer adds beside these keys is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    prompt: str
    response: str
    tokens: tuple[str, ...] = ()
    token_scores: tuple[float | None, ...] = ()
    shares: dict[str, tuple[float | None, ...]] = {}
    kl: tuple[float | None, ...] = ()
    dropped: bool = False
    """A source could not score the response and training left it out: its scores are no scores."""


@dataclass(frozen=True)
class Run:
    """What one run folder says."""

    name: str
    config: str = ""
    """The resolved config as YAML text; empty when there is none."""
    curves: dict[str, Curve] = field(default_factory=dict[str, Curve])
    samples: tuple[SampleRow, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be read, one sentence each."""
    watched: dict[str, Any] = field(default_factory=dict[str, Any])
    """What `spanwise evaluate over-optimisation --save` found of the run; empty where it was not asked."""

    @property
    def learned_nothing(self) -> bool:
        """Whether a run with rewards was trained and its best checkpoint still is the policy that it started from."""
        curve = self.curves.get("eval/reward/total", ())
        if len(curve) < 2 or curve[0][0] != 0 or curve[0][1] is None:
            return False
        start = curve[0][1]
        return all(value is None or value <= start for _, value in curve[1:])


@dataclass(frozen=True)
class Study:
    """One folder given to the report: an experiment with the runs of its arms, or a single run."""

    name: str
    results: ExperimentResults | None
    runs: dict[str, tuple[Run, ...]]
    """By arm, one per seed; an arm without run folder is absent."""
    trade_off: TradeOff | None = None
    """Which arms are settings of a dial, where they are."""


def check_folder(folder: Path) -> None:
    """DataError where there is no folder at all, which can be told before anything slow is loaded."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give a run folder or an experiment folder.")


def read_study(folder: Path) -> Study:
    """Reads an experiment or run folder; raises DataError when it is neither."""
    check_folder(folder)
    name = folder.resolve().name
    results = ExperimentResults.load(folder) if _holds_experiment(folder) else None
    if results is not None:
        runs = {arm: arm_runs for arm in results.arms if (arm_runs := _runs_below(folder / arm))}
        results = results.model_copy(update={"comparisons": without_credit(results.comparisons, runs)})
        return Study(name, results, runs, _trade_off(folder, results))
    if not _is_run(folder):
        raise DataError(
            f"{folder}: holds neither {RESULTS_FILE} nor metrics.jsonl nor samples.jsonl; give a run folder."
        )
    return Study(name, None, {name: (read_run(folder, name),)})


def read_run(folder: Path, name: str) -> Run:
    """Reads config, metrics and samples of one run."""
    problems: list[str] = []
    curves = _read_curves(folder / "metrics.jsonl", problems)
    samples = _read_samples(folder / "samples.jsonl", problems)
    config = folder / "config.yaml"
    watched = _read_watched(folder / WATCHED_FILE, problems)
    return Run(name, read_text(config) if config.is_file() else "", curves, samples, tuple(problems), watched)


def unlearned(runs: Mapping[str, Sequence[Run]]) -> tuple[str, ...]:
    """A sentence for each of the runs, by label, that learned nothing."""
    return tuple(
        f"{label}{f' ({run.name})' if len(seeds) > 1 else ''}: {NOTHING_LEARNED}."
        for label, seeds in runs.items()
        for run in seeds
        if run.learned_nothing
    )


def without_credit(comparisons: Sequence[Comparison], runs: Mapping[str, Sequence[Run]]) -> tuple[Comparison, ...]:
    """The comparisons, in which no arm counts as better where every one of its `runs` learned nothing."""
    idle = {arm for arm, seeds in runs.items() if seeds and all(run.learned_nothing for run in seeds)}
    return tuple(
        comparison.model_copy(update={"verdict": "no clear difference"})
        if comparison.arm in idle and comparison.verdict in IMPROVED
        else comparison
        for comparison in comparisons
    )


def named_runs(found: Sequence[tuple[Path, Study]]) -> dict[str, tuple[Run, ...]]:
    """Plain runs by folder name, with the parent's name where two folders share one."""
    names = [study.name for _, study in found]
    runs: dict[str, tuple[Run, ...]] = {}
    for folder, study in found:
        label = study.name if names.count(study.name) == 1 else "/".join(folder.resolve().parts[-2:])
        if label in runs:
            raise DataError(f"{folder}: a run of the name {label} was given already; name each run once.")
        runs[label] = study.runs[study.name]
    return runs


def _trade_off(folder: Path, results: ExperimentResults) -> TradeOff | None:
    if not (folder / TRADE_OFF_FILE).is_file():
        return None
    plan = TradeOff.load(folder)
    plan.check(results, str(folder))
    return plan


def _holds_experiment(folder: Path) -> bool:
    """A plain run may keep a results.json of its own shape; only an experiment has arms."""
    path = folder / RESULTS_FILE
    if not path.is_file():
        return False
    value = read_json(path)
    return not _is_run(folder) or (isinstance(value, dict) and "arms" in value)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("metrics.jsonl", "samples.jsonl"))


def _runs_below(folder: Path) -> tuple[Run, ...]:
    if _is_run(folder):
        return (read_run(folder, folder.name),)
    inner = sorted(path for path in folder.glob("*/") if _is_run(path))
    return tuple(read_run(path, path.name) for path in inner)


def _read_curves(path: Path, problems: list[str]) -> dict[str, Curve]:
    points: dict[str, dict[float, float | None]] = {}
    without_step = 0
    for row in _rows(path, problems):
        step = row.get("step")
        if not _is_number(step):
            without_step += 1
            continue
        for key, value in row.items():
            if key != "step" and (value is None or _is_number(value)):
                points.setdefault(key, {})[step] = _finite(value)
    if without_step:
        problems.append(f"{path}: {without_step} {_lines(without_step)} without a step and left out.")
    return {key: tuple(sorted(curve.items())) for key, curve in points.items()}


def _read_samples(path: Path, problems: list[str]) -> tuple[SampleRow, ...]:
    rows: list[SampleRow] = []
    failed = 0
    for value in _rows(path, problems):
        try:
            rows.append(SampleRow.model_validate(value))
        except ValidationError:  # the report goes on without this sample and says so
            failed += 1
    if failed:
        problems.append(f"{path}: {failed} {_lines(failed)} no sample of the known form and left out.")
    return tuple(rows)


def _read_watched(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = read_json(path)
    if isinstance(value, dict) and {"gold", "verdict", "last_step"} <= value.keys():
        return cast("dict[str, Any]", value)
    problems.append(f"{path}: not what over-optimisation --save writes, and left out; save it again.")
    return {}


def _rows(path: Path, problems: list[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file that may be absent; lines that hold none are counted in one problem."""
    broken: list[int] = []
    for number, line in read_lines(path) if path.is_file() else ():
        try:
            value = json.loads(line)
        except ValueError:
            broken.append(number)
            continue
        if isinstance(value, dict):
            yield cast("dict[str, Any]", value)
        else:
            broken.append(number)
    if broken:
        first = f", the first is line {broken[0]}" if len(broken) > 1 else f" (line {broken[0]})"
        problems.append(f"{path}: {len(broken)} {_lines(len(broken))} not readable and left out{first}.")


def _lines(count: int) -> str:
    return "line was" if count == 1 else "lines were"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
