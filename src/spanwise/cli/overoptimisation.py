"""`spanwise evaluate over-optimisation`: proxy against gold along runs, and where they should have stopped."""

import json
from pathlib import Path
from typing import Annotated

import typer

from spanwise.cli.config_help import AsJson
from spanwise.core import DataError, check_readable


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="over-optimisation")(over_optimisation)


def over_optimisation(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of `spanwise rl`.")],
    *,
    gold: Annotated[
        list[Path], typer.Option("--gold", help="Reward model that the run was not trained on; give several times.")
    ],
    prompts: Annotated[Path, typer.Option("--prompts", help="The runs' held-out prompts, for their passages.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML file to write.")] = None,
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
    from spanwise.evals.pages import find_course, render_courses, verdict
    from spanwise.evals.runs import WATCHED_FILE, ensemble_gold, read_course, start_samples
    from spanwise.feedback import PromptRecord, load_or_raise
    from spanwise.rewards import load_sources

    records = {record.prompt: record for record in load_or_raise(prompts, PromptRecord)}
    sources = [source for path in gold for source in load_sources(path)]
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    found = []
    for run, name in zip(runs, names, strict=True):
        start = start_samples(run, records)
        if not start:
            raise DataError(f"{run}: logged no answer to a prompt of {prompts}; set evaluation.logged_samples.")
        found.append(find_course(name, read_course(run, ensemble_gold(sources, start), records)))
    words = "the mean of " + ", ".join(f"{source.name} ({source.version[:8]})" for source in sources)
    for run, one in zip(runs, found, strict=True) if save else ():
        write_json(run / WATCHED_FILE, {"gold": words, "verdict": verdict(one), **one.as_dict()})
    if output is not None:
        write_text(output, render_courses(found, words))
    if as_json:
        typer.echo(json.dumps({"gold": words, "runs": {one.name: one.as_dict() for one in found}}, indent=2))
        return
    for one in found:
        typer.echo(verdict(one))
    if output is not None:
        typer.echo(f"Drawn in {output}.")
