"""`spanwise evaluate compare` and `over-optimisation`: runs side by side, and against reward models they never saw."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, output_option
from spanwise.cli.render import bounds, count, interval, show
from spanwise.cli.runner import Outcome, check_distinct
from spanwise.core import DataError, check_readable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spanwise.evals.pages import CourseFindings
    from spanwise.evals.runs import Study
    from spanwise.evals.statistics import Estimate, ExperimentResults, Judgements
    from spanwise.evals.win_rate import JudgedComparison, LengthDifference
    from spanwise.feedback import RewardSource

ANNOTATIONS = ("annotations.json", "annotations.json.gz")
"""What a folder of judged answers holds one of."""


def add_to(group: typer.Typer) -> None:
    """Adds the commands to the group `spanwise evaluate`."""
    group.command(name="compare")(compare)
    group.command(name="over-optimisation")(over_optimisation)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Annotation files, folders that hold one, experiments, or plain runs; the first is the baseline.",
            show_default=False,
        ),
    ],
    *,
    resamples: Annotated[int, typer.Option(min=100, help="Draws of bootstrap and permutation test.")] = 2000,
    seed: Annotated[int, typer.Option(help="Their seed.")] = 0,
    folder: Annotated[
        Path | None, output_option("Folder for results.json of judged runs, for `spanwise report`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: judged answers pair by pair, experiments by their estimates, plain runs seed by seed.

    Every run is compared with the first. Judged answers are joined by instruction.
    """
    if len(runs) < 2:
        raise DataError("compare needs two runs or more.")
    check_distinct(*runs)
    annotations = {run: path for run in runs if (path := _annotations(run)) is not None}
    if annotations:
        check_distinct(*annotations.values())
        missing = [run for run in runs if run not in annotations]
        if missing:
            raise DataError(f"{missing[0]}: holds no {ANNOTATIONS[0]}, the other runs do; compare runs of one kind.")
        outcome = _compare_judged(annotations, seed, resamples, folder)
    elif folder is not None:
        raise DataError("--output is for judged runs; `spanwise report` reads experiment folders as they are.")
    else:
        outcome = _compare_studies(runs, seed, resamples)
    show(*outcome, as_json=as_json)


def _annotations(run: Path) -> Path | None:
    if run.is_file():
        return run
    return next((run / name for name in ANNOTATIONS if (run / name).is_file()), None)


def _compare_judged(paths: dict[Path, Path], seed: int, resamples: int, folder: Path | None) -> Outcome:
    from spanwise.evals.win_rate import compare_judged, length_difference, read_annotations, side_by_side, win_rate

    by_run = {run: read_annotations(path) for run, path in paths.items()}
    names = _names(by_run)
    judged = {names[run]: judgements for run, judgements in by_run.items()}
    first, *others = judged
    pairs = [
        compare_judged(judged[name], judged[first], names=(name, first), seed=seed, resamples=resamples)
        for name in others
    ]
    lengths = [
        length_difference(judged[name], judged[first], seed=seed, resamples=min(resamples, 500)) for name in others
    ]
    rates = {name: win_rate(judgements) for name, judgements in judged.items()}
    notes = [*(note for pair in pairs for note in pair.notes), *_output_notes(judged)]
    if folder is not None:
        command = f"spanwise evaluate compare {' '.join(map(str, paths))}"
        sentences = [*map(_sentence, pairs), *map(_controlled, pairs, lengths), *notes]
        side_by_side(judged, command=command, seed=seed, resamples=resamples, notes=sentences).save(folder)
    models = {
        name: {"n": rate.n, "win_rate": rate.win_rate, "standard_error": rate.standard_error}
        for name, rate in rates.items()
    }
    compared = [
        {**pair.as_dict(), "length_controlled": length and asdict(length)}
        for pair, length in zip(pairs, lengths, strict=True)
    ]
    lines = [
        *(
            f"{name}: win rate {rate.win_rate:.2f} %{_plus_minus(rate.standard_error)} over {rate.n:,} pairs."
            for name, rate in rates.items()
        ),
        *(words for pair, length in zip(pairs, lengths, strict=True) for words in _both(pair, length)),
        *notes,
    ]
    return Outcome({"models": models, "comparisons": compared, "notes": notes}, lines)


def _output_notes(judged: "dict[str, Judgements]") -> list[str]:
    """What is suspicious of each model's answers, and how many of its pairs no judge decided."""
    from spanwise.evals.win_rate import check_outputs

    notes: list[str] = []
    for name, judgements in judged.items():
        pairs = judgements.pairs
        checks = check_outputs([pair.answer for pair in pairs], [pair.reference for pair in pairs])
        notes += [f"{name}: {warning}" for warning in checks.warnings]
        notes += [f"{name}: {amount:,} pairs are unscored, {why}." for why, amount in judgements.unscored.items()]
    return notes


def _names(judged: "dict[Path, Judgements]") -> dict[Path, str]:
    """The models' names, or the paths where two have one name."""
    models = [judgements.model for judgements in judged.values()]
    return {
        run: model if model and models.count(model) == 1 else str(run)
        for run, model in zip(judged, models, strict=True)
    }


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f" ± {error:.2f}"


def _both(pair: "JudgedComparison", length: "LengthDifference | None") -> tuple[str, str]:
    return _sentence(pair), _controlled(pair, length)


def _sentence(pair: "JudgedComparison") -> str:
    from spanwise.evals.report import verdict_words

    ends = interval(pair.low, pair.high, "+.2f")
    chance = "" if pair.p_value is None else f", p {pair.p_value:.3g}"
    more = f"{pair.prompts_for_2_points:,}" if pair.prompts_for_2_points else "no more"
    alone = pair.only_in_arm + pair.only_in_baseline
    unpaired = f" {alone:,} prompts were judged for one of them only and do not count." if alone else ""
    return (
        f"{pair.arm} less {pair.baseline}: {pair.difference:+.2f} points{ends and f' ({ends})'}{chance}, "
        f"{verdict_words(pair.verdict)}, over {pair.prompts:,} shared prompts.{unpaired} "
        f"To see 2 points takes about {more} prompts."
    )


def _controlled(pair: "JudgedComparison", length: "LengthDifference | None") -> str:
    head = f"{pair.arm} less {pair.baseline} at equal length"
    if length is None:
        return f"{head}: not known, fewer than two prompts were decided for both."
    ends = interval(length.low, length.high, "+.2f")
    rates = f"length-controlled {length.arm:.2f} and {length.baseline:.2f} %"
    return f"{head}: {length.difference:+.2f} points{ends and f' ({ends})'}, {rates}."


def _compare_studies(runs: list[Path], seed: int, resamples: int) -> Outcome:
    from spanwise.evals.runs import pair_experiments, read_study, unlearned, without_credit

    studies = {run: read_study(run) for run in runs}
    if all(study.results is None for study in studies.values()):
        return _compare_runs(studies)
    titles = [study.name for study in studies.values()]
    names = {run: name if titles.count(name) == 1 else str(run) for run, name in zip(runs, titles, strict=True)}
    arms: dict[str, dict[str, Any]] = {}
    for run, study in studies.items():
        if study.results is None:
            raise DataError(f"{run}: a plain run, the others are experiments; compare runs of one kind.")
        arms |= _arms(names[run], study.results)
    first, *others = studies
    pairs = [pair_experiments(first, run, (names[first], names[run]), seed=seed, resamples=resamples) for run in others]
    by_arm = {f"{names[run]}: {arm}": seeds for run, study in studies.items() for arm, seeds in study.runs.items()}
    notes = [*(note for pair in pairs for note in pair.notes), *unlearned(by_arm)]
    judged = without_credit([comparison for pair in pairs for comparison in pair.comparisons], by_arm)
    compared = [comparison.model_dump(mode="json") for comparison in judged]
    lines: list[str] = []
    for name, arm in arms.items():
        lines.append(f"{name} ({count(arm['seeds'], 'seed')})")
        lines += [
            f"  {metric}  {_shown(estimate)}  n {estimate['n']}, unscored {estimate['unscored']}"
            for metric, estimate in arm["metrics"].items()
        ]
    lines += [_difference(comparison) for comparison in compared]
    return Outcome({"arms": arms, "comparisons": compared, "notes": notes}, [*lines, *notes])


def _arms(name: str, results: "ExperimentResults") -> dict[str, dict[str, Any]]:
    return {
        f"{name}: {arm.title}": {"seeds": len(results.seeds), "metrics": _estimates(arm.metrics)}
        for arm in results.arms.values()
    }


def _difference(comparison: dict[str, Any]) -> str:
    from spanwise.evals.report import verdict_words

    estimate = comparison["difference"]
    basis = f"n {estimate['n']}, seeds {estimate['seeds']}, unscored {estimate['unscored']}"
    return (
        f"{comparison['arm']} less {comparison['baseline']}: {comparison['metric']}  {_shown(estimate)}, "
        f"{verdict_words(comparison['verdict'])}  {basis}"
    )


def _compare_runs(studies: "dict[Path, Study]") -> Outcome:
    """Plain runs: groups of seeds with their last held-out values, each less the first group seed by seed."""
    from spanwise.evals.report import group_runs
    from spanwise.evals.runs import named_runs, unlearned

    named = named_runs(list(studies.items()))
    first, *others = groups = group_runs({label: runs[0] for label, runs in named.items()})
    summary = {
        "runs": {group.label: _estimates({m: group.estimate(m) for m in group.metrics}) for group in groups},
        "differences": {
            f"{group.label} less {first.label}": _estimates({m: group.less(first, m) for m in first.metrics})
            for group in others
        },
    }
    lines: list[str] = []
    for name, metrics in (row for part in summary.values() for row in part.items()):
        lines.append(name)
        lines += [f"  {metric}  {_shown(estimate)}  seeds {estimate['seeds']}" for metric, estimate in metrics.items()]
    notes = list(unlearned(named))
    return Outcome({**summary, "notes": notes}, [*lines, *notes])


def _estimates(by_metric: "Mapping[str, Estimate | None]") -> dict[str, dict[str, Any]]:
    return {metric: estimate.model_dump(mode="json") for metric, estimate in by_metric.items() if estimate is not None}


def _shown(estimate: dict[str, Any]) -> str:
    mean = estimate["mean"]
    return "-" if mean is None else f"{mean:.4g}{bounds(estimate['low'], estimate['high'], '.4g')}"


def over_optimisation(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders of `spanwise rl`.")],
    *,
    gold: Annotated[
        list[Path], typer.Option("--gold", help="Reward model that the run was not trained on; give several times.")
    ],
    prompts: Annotated[Path, typer.Option("--prompts", help="The runs' held-out prompts, for their passages.")],
    page: Annotated[Path | None, output_option("HTML file to write.")] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep what was found in each run's folder, for `spanwise report`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the reward that a run was trained on with reward models it never saw, step by step.

    The runs must have logged held-out answers: set evaluation.logged_samples. Several gold models (each head is one)
    are averaged, standardised over the answers before training.
    """
    check_readable(prompts)
    from spanwise.core import write_json, write_text
    from spanwise.evals.pages import render_courses, verdict
    from spanwise.evals.runs import WATCHED_FILE
    from spanwise.rewards import load_sources

    sources = [source for path in gold for source in load_sources(path)]
    words = "the mean of " + ", ".join(f"{source.name} ({source.version[:8]})" for source in sources)
    courses = _courses(runs, prompts, sources)
    for run, course in courses.items() if save else ():
        write_json(run / WATCHED_FILE, {"gold": words, "verdict": verdict(course), **course.as_dict()})
    if page is not None:
        write_text(page, render_courses(list(courses.values()), words))
    summary = {"gold": words, "runs": {course.name: course.as_dict() for course in courses.values()}}
    lines = [*map(verdict, courses.values()), *([] if page is None else [f"Drawn in {page}."])]
    show(summary, lines, as_json=as_json)


def _courses(runs: list[Path], prompts: Path, sources: "Sequence[RewardSource]") -> "dict[Path, CourseFindings]":
    """What was found along each run; DataError where one logged no answer."""
    from spanwise.evals.pages import find_course
    from spanwise.evals.runs import ensemble_gold, read_course, start_samples
    from spanwise.feedback import PromptRecord, load_or_raise

    records = {record.prompt: record for record in load_or_raise(prompts, PromptRecord)}
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    courses: dict[Path, CourseFindings] = {}
    for run, name in zip(runs, names, strict=True):
        start = start_samples(run, records)
        if not start:
            raise DataError(f"{run}: logged no answer to a prompt of {prompts}; set evaluation.logged_samples.")
        courses[run] = find_course(name, read_course(run, ensemble_gold(sources, start), records))
    return courses
