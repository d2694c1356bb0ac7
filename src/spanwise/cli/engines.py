"""`spanwise score` by shards, `spanwise export` for other engines, and `spanwise doctor`, which asks beforehand."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import (
    AsJson,
    ConfigPath,
    Overrides,
    config_command,
    group_with_default,
    output_option,
)
from spanwise.cli.render import bar, count, show
from spanwise.cli.runner import Outcome, run_config
from spanwise.core import check_readable

if TYPE_CHECKING:
    from spanwise.integrations import Finding

app = typer.Typer()
export = typer.Typer(help="Write a run of ours as another engine's: settings, data, a command.", no_args_is_help=True)
doctor = typer.Typer(
    cls=group_with_default("setup"),
    help="Check that this machine and your configs are ready, or that an engine is.\n\n"
    "`spanwise doctor CONFIG.yaml ...` is short for `spanwise doctor setup CONFIG.yaml ...`.",
)
app.add_typer(export, name="export")
app.add_typer(doctor, name="doctor")
MARKS = {"good": "ok ", "warning": "?  ", "bad": "BAD"}


@app.command(cls=config_command("spanwise.rewards.config:ScoreConfig"))
def score(
    config: ConfigPath,
    overrides: Overrides = None,
    *,
    shard: Annotated[
        str,
        typer.Option(metavar="I/N", help="Make every N-th Parquet file, from the I-th on: one part of N processes."),
    ] = "1/1",
    as_json: AsJson = False,
) -> None:
    """Score answers with reward models and scorers into Parquet files that are whole or absent.

    A killed run goes on where it was; processes on several machines share the work with --shard.
    """
    from spanwise.rewards import ScoreConfig

    run_config(ScoreConfig, config, overrides, lambda settings: _score(settings, shard), inputs=("responses",),
               as_json=as_json)  # fmt: skip


def _score(settings: Any, shard: str) -> Outcome:
    from spanwise.rewards import Shard, score_shard

    which = Shard.parse(shard)
    with bar() as progress:
        task = progress.add_task("answers", total=None)
        result = score_shard(
            settings,
            which,
            begins=lambda total: progress.update(task, total=total),
            advances=lambda done: progress.advance(task, done),
        )
    unscored = {name: number for name, number in result.unscored.items() if number}
    lines = [
        f"shard {which.number}/{which.count}: {count(result.answers, 'answer')} in {count(result.files, 'file')}, "
        f"{result.kept} of them there already.",
        *(f"not scored  {name}: {number:,}" for name, number in unscored.items()),
        f"The scores are in {settings.output}."
        if not result.missing
        else f"{count(result.missing, 'file')} of other shards {'is' if result.missing == 1 else 'are'} not there yet.",
    ]
    summary = {
        "output": str(settings.output),
        "shard": f"{which.number}/{which.count}",
        "answers": result.answers,
        "files": result.files,
        "kept": result.kept,
        "unscored": result.unscored,
        "missing_files": result.missing,
    }
    return Outcome(summary, lines)


@export.command(name="verl", cls=config_command("spanwise.rl.config:RLConfig"))
def export_verl(
    config: ConfigPath,
    overrides: Overrides = None,
    *,
    output: Annotated[Path, output_option("Folder for verl's config, rewards, data and command.")],
    as_json: AsJson = False,
) -> None:
    """Write the run of a `spanwise rl` config for verl: verl.yaml, rewards.yaml, Parquet data and run.sh."""
    from spanwise.rl import RLConfig

    def work(settings: RLConfig) -> Outcome:
        from spanwise.integrations import export_verl as write

        changes = write(settings, output)
        lines = [*(f"otherwise  {sentence}" for sentence in changes), f"Start it with: bash {output / 'run.sh'}"]
        return Outcome({"output": str(output), "otherwise": changes}, lines)

    run_config(RLConfig, config, overrides, work, inputs=("prompts", "heldout"), says_device=False, as_json=as_json)


@doctor.command(name="verl")
def doctor_verl(
    config: Annotated[
        Path | None, typer.Argument(metavar="VERL.yaml", help="verl's config of the run, to say what it would lose.")
    ] = None,
    *,
    workers: Annotated[bool, typer.Option(help="Start Ray and ask a process of it what it knows.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check verl's version and packages, the plug-in in a process of Ray, and a run's config; exit code 2 if bad."""
    from spanwise.integrations import examine_verl

    check_readable(config)
    _print_findings(examine_verl(config, workers=workers), as_json=as_json)


@doctor.command(name="setup")
def doctor_setup(
    configs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG.yaml", help="Configs of the steps to come; together, in their order."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check versions, extras, GPU, memory and disk; with configs also models, tokenizers, data and what is too long.

    Memory and disk are estimates. Exit code 2 where something would stop a run or lose data.
    """
    from spanwise.setup import examine_setup

    check_readable(*configs or ())
    _print_findings(examine_setup(configs or ()), as_json=as_json)


def _print_findings(findings: Iterable["Finding"], *, as_json: bool) -> None:
    known = list(findings)
    summary = {"findings": [finding._asdict() for finding in known]}
    show(summary, [f"{MARKS[finding.verdict]}  {finding.sentence}" for finding in known], as_json=as_json)
    if any(finding.verdict == "bad" for finding in known):
        raise typer.Exit(2)
