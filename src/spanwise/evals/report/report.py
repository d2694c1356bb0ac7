"""`report.html`: one self-contained file made of run and experiment folders alone.

Gathers what `read_study` read into views, which `templates/report.html` lays out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import DataError, write_text
from spanwise.evals.report.answers import DialGroup, Gallery, dials_of, example_gallery, sample_gallery
from spanwise.evals.report.groups import RunGroup, difference_table, group_runs, group_table
from spanwise.evals.report.page import render_page
from spanwise.evals.report.panels import (
    Panel,
    PanelGroup,
    arm_panels,
    curve_groups,
    difference_panels,
    reliability_panels,
)
from spanwise.evals.report.tables import Table, arm_table, config_table, difference_rows, quality_tables
from spanwise.evals.report.words import PairFindings, caveats, pair_findings
from spanwise.evals.runs import Run, Study, named_runs, read_study, stop_sentence, unlearned
from spanwise.evals.statistics import ExperimentResults, plain

MAX_CARDS = 6
"""Prompts shown per gallery; the rest is counted."""

TOLD_CURVES = (("eval/reward/total", "eval/kl/response", "eval/response/length"), ("reward/total", "kl/response"))
"""What is told of a run without results, in words: the first of these groups that it measured."""

ALARMS = "alarm/"
"""How the metrics of alarms begin: 1 while one holds, 0 otherwise."""


@dataclass(frozen=True)
class StudyView:
    """One study, ready for the template."""

    name: str
    labels: tuple[str, ...]
    """Names of the policies in legend order."""
    results: ExperimentResults | None
    headline: PairFindings | None = None
    others: tuple[PairFindings, ...] = ()
    courses: tuple[str, ...] = ()
    """What a run without results can say of itself."""
    limits: tuple[str, ...] = ()
    groups: Table | None = None
    """Plain runs by config, with intervals over seeds."""
    group_differences: Table | None = None
    arms: Table | None = None
    arm_panels: tuple[Panel, ...] = ()
    difference_panels: tuple[Panel, ...] = ()
    curves: tuple[PanelGroup, ...] = ()
    quality: tuple[Table, ...] = ()
    reliability: tuple[Panel, ...] = ()
    dial: str = ""
    """What the dial turns, where the arms are settings of one."""
    dials: tuple[DialGroup, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    configs: tuple[tuple[str, str], ...] = ()
    config_differences: Table | None = None
    without_curves: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    """Where each run should have stopped, or why that is not known."""
    trained: bool = True
    """False where no run folder lies below, as for judged answers: there is no training to show."""

    @property
    def settings(self) -> bool:
        """Whether there is anything to say of settings and time."""
        known = self.results is not None and bool(self.results.config or self.results.seconds)
        return self.trained or bool(self.configs) or known


def write_report(folders: Sequence[Path], output: Path) -> None:
    """Writes the report of `folders` to `output`; raises DataError when one of them is no run."""
    write_text(output, render_report(folders))


def render_report(folders: Sequence[Path]) -> str:
    """The report of `folders` as one HTML page."""
    if not folders:
        raise DataError("No run folder was given; name at least one.")
    studies = [read_study(folder) for folder in folders]
    experiments = [study for study in studies if study.results is not None]
    views = [_experiment_view(study, study.results, f"s{i}") for i, study in enumerate(experiments) if study.results]
    plain_runs = named_runs([(folder, s) for folder, s in zip(folders, studies, strict=True) if s.results is None])
    if plain_runs:
        views.append(_runs_view(plain_runs))
    return render_page("report.html", views=views, difference_rows=difference_rows)


def _experiment_view(study: Study, results: ExperimentResults, name: str) -> StudyView:
    titles = {name: arm.title for name, arm in results.arms.items()}
    labels = list(results.policies.values())
    pairs = pair_findings(results)
    runs = {results.policies[arm]: arm_results for arm, arm_results in study.runs.items()}
    heading = "Held-out prompts, arm by arm"
    galleries = [example_gallery(results.examples, titles, results.places, title=heading, limit=MAX_CARDS)]
    galleries += _training_galleries(runs)
    plan = study.trade_off
    return StudyView(
        name=name,
        labels=tuple(labels),
        results=results,
        headline=pairs[0] if pairs else None,
        others=tuple(pairs[1:]),
        limits=(*unlearned(runs), *results.notes, *caveats(results), *_alarms(runs), *_problems(runs)),
        arms=arm_table(results),
        arm_panels=arm_panels(results, name),
        difference_panels=difference_panels(results, name),
        curves=tuple(curve_groups(runs, labels, name)),
        quality=tuple(quality_tables(results.reward_models)),
        reliability=reliability_panels(results.reward_models, name),
        dial=plan.dial if plan else "",
        dials=dials_of(results, plan) if plan else (),
        galleries=tuple(gallery for gallery in galleries if gallery is not None),
        configs=_configs(runs),
        config_differences=config_table(runs),
        without_curves=tuple(label for label in labels if label not in runs),
        stops=_stops(runs),
        trained=bool(runs),
    )


def _runs_view(runs: Mapping[str, tuple[Run, ...]]) -> StudyView:
    labels = tuple(runs)
    groups = group_runs({label: seeds[0] for label, seeds in runs.items()})
    several = len(runs) > 1
    return StudyView(
        name="runs",
        labels=labels,
        results=None,
        courses=tuple(sentence for label, seeds in runs.items() for sentence in _courses(label, seeds[0])),
        groups=group_table(groups) if several else None,
        group_differences=difference_table(groups) if several else None,
        limits=(
            *unlearned(runs),
            _basis_of(groups),
            *_alarms(runs),
            *_problems(runs),
        ),
        curves=tuple(curve_groups(runs, labels, "runs")),
        galleries=tuple(_training_galleries(runs)),
        configs=_configs(runs),
        config_differences=config_table(runs),
        stops=_stops(runs),
    )


def _stops(runs: Mapping[str, tuple[Run, ...]]) -> tuple[str, ...]:
    sentences = [
        stop_sentence(f"{label} ({run.name})" if len(seeds) > 1 else label, run)
        for label, seeds in runs.items()
        for run in seeds
    ]
    return tuple(filter(None, sentences))


def _basis_of(groups: Sequence[RunGroup]) -> str:
    if any(len(group.runs) > 1 for group in groups):
        return "Intervals are over seeds, from the last value of each run; each run's own rewards measured it."
    return "One run each: there are no intervals, so nothing here is a comparison."


def _courses(label: str, run: Run) -> list[str]:
    """First and last value of the main curves, held-out ones if there are any."""
    keys = next(
        (curve_keys for wanted in TOLD_CURVES if (curve_keys := [key for key in wanted if key in run.curves])), ()
    )
    sentences: list[str] = []
    for key in keys:
        known = [(step, value) for step, value in run.curves[key] if value is not None]
        if len(known) > 1:
            (first, start), (last, end) = known[0], known[-1]
            sentences.append(f"{label}: {key} was {plain(start)} at step {first:g} and {plain(end)} at step {last:g}.")
    return sentences or [f"{label}: nothing was measured at two steps."]


def _training_galleries(runs: Mapping[str, tuple[Run, ...]]) -> list[Gallery]:
    galleries = [
        sample_gallery(seeds[0], f"{label}: before and after{_seed_of(seeds)}", limit=MAX_CARDS)
        for label, seeds in runs.items()
    ]
    return [gallery for gallery in galleries if gallery is not None]


def _seed_of(runs: Sequence[Run]) -> str:
    return f" ({runs[0].name})" if len(runs) > 1 else ""


def _configs(runs: Mapping[str, tuple[Run, ...]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{label}{_seed_of(seeds)}", seeds[0].config) for label, seeds in runs.items() if seeds[0].config)


def _alarms(runs: Mapping[str, tuple[Run, ...]]) -> tuple[str, ...]:
    """A sentence for each alarm of the log that rang in a run, with the first step at which it did."""
    return tuple(
        f"{label}{f' ({run.name})' if len(seeds) > 1 else ''}: the alarm {key.removeprefix(ALARMS).replace('_', ' ')} "
        f"rang at step {next(step for step, value in curve if value == 1):g}."
        for label, seeds in runs.items()
        for run in seeds
        for key, curve in run.curves.items()
        if key.startswith(ALARMS) and any(value == 1 for _, value in curve)
    )


def _problems(runs: Mapping[str, tuple[Run, ...]]) -> tuple[str, ...]:
    return tuple(problem for seeds in runs.values() for run in seeds for problem in run.problems)
