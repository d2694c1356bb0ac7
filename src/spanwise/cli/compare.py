"""`spanwise evaluate compare`: models or runs side by side, with what their differences are worth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson
from spanwise.core import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanwise.evals.runs import Study
    from spanwise.evals.statistics import Estimate, Judgements
    from spanwise.evals.win_rate import JudgedComparison, LengthDifference

ANNOTATIONS = ("annotations.json", "annotations.json.gz")
"""What a folder of judged answers holds one of."""


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="compare")(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Annotation files, folders that hold one, experiments, or plain runs; the first is the baseline.",
            show_default=False,
        ),
    ],
    *,
    resamples: Annotated[int, typer.Option(min=100, help="Draws of bootstrap and permutation test.")] = 2000,
    seed: Annotated[int, typer.Option(help="Their seed.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for results.json of judged runs, for `spanwise report`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: judged answers pair by pair, experiments by their estimates, plain runs seed by seed.

    Every run is compared with the first. Judged answers are joined by instruction.
    """
    if len(runs) < 2:
        raise DataError("compare needs two runs or more.")
    found = {run: _annotations(run) for run in runs}
    if all(path is None for path in found.values()):
        if output is not None:
            raise DataError("--output is for judged runs; `spanwise report` reads experiment folders as they are.")
        _print_experiments(runs, seed, resamples, as_json=as_json)
        return
    missing = [run for run, path in found.items() if path is None]
    if missing:
        raise DataError(f"{missing[0]}: holds no {ANNOTATIONS[0]}, the other runs do; compare runs of one kind.")
    paths = {run: path for run, path in found.items() if path is not None}
    _judged(paths, seed, resamples, output, as_json=as_json)


def _annotations(run: Path) -> Path | None:
    if run.is_file():
        return run
    return next((run / name for name in ANNOTATIONS if (run / name).is_file()), None)


def _judged(paths: dict[Path, Path], seed: int, resamples: int, output: Path | None, *, as_json: bool) -> None:
    from spanwise.evals.win_rate import compare_judged, length_difference, read_annotations, side_by_side, win_rate

    judged = {run: read_annotations(path) for run, path in paths.items()}
    names = _names(judged)
    first, *others = judged
    pairs = [
        compare_judged(judged[run], judged[first], names=(names[run], names[first]), seed=seed, resamples=resamples)
        for run in others
    ]
    lengths = [
        length_difference(judged[run], judged[first], seed=seed, resamples=min(resamples, 500)) for run in others
    ]
    rates = {names[run]: win_rate(own) for run, own in judged.items()}
    notes = [*(note for pair in pairs for note in pair.notes), *_output_notes(judged, names)]
    if output is not None:
        command = f"spanwise evaluate compare {' '.join(map(str, paths))}"
        named = {names[run]: own for run, own in judged.items()}
        said = [*map(_sentence, pairs), *map(_controlled, pairs, lengths), *notes]
        side_by_side(named, command=command, seed=seed, resamples=resamples, notes=said).save(output)
    if as_json:
        models = {
            name: {"n": rate.n, "win_rate": rate.win_rate, "standard_error": rate.standard_error}
            for name, rate in rates.items()
        }
        compared = [
            {**pair.as_dict(), "length_controlled": None if own is None else asdict(own)}
            for pair, own in zip(pairs, lengths, strict=True)
        ]
        _echo({"models": models, "comparisons": compared, "notes": notes})
        return
    for name, rate in rates.items():
        error = "" if rate.standard_error is None else f" ± {rate.standard_error:.2f}"
        typer.echo(f"{name}: win rate {rate.win_rate:.2f} %{error} over {rate.n:,} pairs.")
    for pair, own in zip(pairs, lengths, strict=True):
        typer.echo(_sentence(pair))
        typer.echo(_controlled(pair, own))
    for note in notes:
        typer.echo(note)


def _output_notes(judged: "dict[Path, Judgements]", names: dict[Path, str]) -> list[str]:
    """What is suspicious of each model's answers, and how many of its pairs no judge decided."""
    from spanwise.evals.win_rate import check_outputs

    found: list[str] = []
    for run, own in judged.items():
        checks = check_outputs([pair.answer for pair in own.pairs], [pair.reference for pair in own.pairs])
        found += [f"{names[run]}: {warning}" for warning in checks.warnings]
        found += [f"{names[run]}: {count:,} pairs are unscored, {reason}." for reason, count in own.unscored.items()]
    return found


def _names(judged: "dict[Path, Judgements]") -> dict[Path, str]:
    """The models' names, or the paths where two have one name."""
    models = [own.model for own in judged.values()]
    return {run: own.model if own.model and models.count(own.model) == 1 else str(run) for run, own in judged.items()}


def _sentence(pair: "JudgedComparison") -> str:
    interval = "" if pair.low is None or pair.high is None else f" (95 % interval {pair.low:+.2f} to {pair.high:+.2f})"
    chance = "" if pair.p_value is None else f", p {pair.p_value:.3g}"
    more = f"{pair.prompts_for_2_points:,}" if pair.prompts_for_2_points else "no more"
    alone = pair.only_in_arm + pair.only_in_baseline
    left = f" {alone:,} prompts were judged for one of them only and do not count." if alone else ""
    return (
        f"{pair.arm} less {pair.baseline}: {pair.difference:+.2f} points{interval}{chance}, {pair.verdict}, "
        f"over {pair.prompts:,} shared prompts.{left} To see 2 points takes about {more} prompts."
    )


def _controlled(pair: "JudgedComparison", own: "LengthDifference | None") -> str:
    head = f"{pair.arm} less {pair.baseline} at equal length"
    if own is None:
        return f"{head}: not known, fewer than two prompts were decided for both."
    ends = "" if own.low is None or own.high is None else f" (95 % interval {own.low:+.2f} to {own.high:+.2f})"
    return f"{head}: {own.difference:+.2f} points{ends}, length-controlled {own.arm:.2f} and {own.baseline:.2f} %."


def _print_runs(runs: list[Path], *, as_json: bool) -> None:
    """Plain runs: groups of seeds with their last held-out values, each less the first group seed by seed."""
    from spanwise.evals.report import group_runs
    from spanwise.evals.runs import named_runs, read_study

    named = named_runs([(run, read_study(run)) for run in runs])
    first, *others = groups = group_runs({label: own[0] for label, own in named.items()})
    found = {
        "runs": {group.label: _estimates({m: group.estimate(m) for m in group.metrics}) for group in groups},
        "differences": {
            f"{group.label} less {first.label}": _estimates({m: group.less(first, m) for m in first.metrics})
            for group in others
        },
    }
    if as_json:
        _echo(found)
        return
    for name, metrics in (row for part in found.values() for row in part.items()):
        typer.echo(name)
        for metric, own in metrics.items():
            typer.echo(f"  {metric}  {_shown(own)}  seeds {own['seeds']}")


def _estimates(found: "dict[str, Estimate | None]") -> dict[str, dict[str, Any]]:
    return {metric: own.model_dump(mode="json") for metric, own in found.items() if own is not None}


def _shown(own: dict[str, Any]) -> str:
    ends = "" if own["low"] is None else f"  [{own['low']:.4g}, {own['high']:.4g}]"
    return "-" if own["mean"] is None else f"{own['mean']:.4g}{ends}"


def _print_experiments(runs: list[Path], seed: int, resamples: int, *, as_json: bool) -> None:
    from spanwise.evals.runs import pair_experiments, read_study

    studies = {run: read_study(run) for run in runs}
    if all(study.results is None for study in studies.values()):
        _print_runs(runs, as_json=as_json)
        return
    table: dict[str, dict[str, Any]] = {}
    for run, study in studies.items():
        if study.results is None:
            raise DataError(f"{run}: a plain run, the others are experiments; compare runs of one kind.")
        for arm in study.results.arms.values():
            metrics = {metric: own.model_dump(mode="json") for metric, own in arm.metrics.items()}
            name = study.name if _once(study.name, studies.values()) else str(run)
            table[f"{name}: {arm.label}"] = {"seeds": len(study.results.seeds), "metrics": metrics}
    first, *others = studies
    names = {run: study.name if _once(study.name, studies.values()) else str(run) for run, study in studies.items()}
    pairs = [pair_experiments(first, run, (names[first], names[run]), seed=seed, resamples=resamples) for run in others]
    if as_json:
        compared = [one.model_dump(mode="json") for pair in pairs for one in pair.comparisons]
        _echo({"arms": table, "comparisons": compared, "notes": [note for pair in pairs for note in pair.notes]})
        return
    for name, row in table.items():
        typer.echo(f"{name} ({row['seeds']} seed{'s' if row['seeds'] > 1 else ''})")
        for metric, own in row["metrics"].items():
            typer.echo(f"  {metric}  {_shown(own)}  n {own['n']}, unscored {own['unscored']}")
    for one in (one for pair in pairs for one in pair.comparisons):
        own = one.difference.model_dump(mode="json")
        typer.echo(
            f"{one.arm} less {one.baseline}: {one.metric}  {_shown(own)}, {one.verdict}  "
            f"n {own['n']}, seeds {own['seeds']}, unscored {own['unscored']}"
        )
    for note in (note for pair in pairs for note in pair.notes):
        typer.echo(note)


def _once(name: str, studies: "Iterable[Study]") -> bool:
    return [study.name for study in studies].count(name) == 1


def _echo(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
