"""Two ways to begin: `spanwise quickstart`, the loop on the simulated world, and `spanwise init`, on your own file."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanwise.cli.config_help import AsJson, output_option
from spanwise.cli.render import count, print_json, show
from spanwise.core import ConfigError, DataError, check_readable

if TYPE_CHECKING:
    from spanwise.feedback import FeedbackRecord, ReadResult
    from spanwise.setup import Project

COMMAND = "spanwise quickstart"

app = typer.Typer()


@app.command(name="quickstart")
def quickstart(
    output: Annotated[
        Path,
        output_option("Folder for runs, results.json and report.html; must be new or empty."),
    ] = Path("runs/quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Turn marked answers into a better model: SFT, noisy feedback, reward models, PPO.

    Ends with a comparison of greedy answers, held against what decoding alone gives.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: is a file or holds files; give another folder with --output or remove it.")
    from rich.console import Console

    from spanwise.evals.report import write_report
    from spanwise.quickstart import SeedStudy, SimStudyConfig, greedy_sentences, save_outcome, summarize
    from spanwise.rl.runtime import ConsoleProgress

    start = time.monotonic()
    console = Console(stderr=True)
    config = SimStudyConfig()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:5.0f} s[/dim]  {text}", highlight=False)

    study = SeedStudy(config, seed, output, say=say)
    outcome = study.run(lambda label, steps: ConsoleProgress(steps, label=label, console=console))
    save_outcome(output, seed, config, outcome)
    results = summarize(output, config, [seed], title="Quickstart", command=f"{COMMAND} --seed {seed}")
    results.save(output)
    write_report([output], output / "report.html")
    say(f"Report: {output / 'report.html'}")
    if as_json:
        print_json(results.model_dump(mode="json"))
    for sentence in greedy_sentences(results):
        typer.echo(sentence, err=as_json)


@app.command(name="init")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the project; what is there stays.", show_default=False)
    ],
    *,
    source: Annotated[
        Path, typer.Option("--from", metavar="FILE", help="Your feedback, in any format of `spanwise feedback`.")
    ],
    model: Annotated[
        str, typer.Option(help="The language model to improve: a folder, or a name on the Hugging Face Hub.")
    ] = "",
    backbone: Annotated[
        str, typer.Option(help="What the reward model reads answers with: an encoder or decoder; empty = the model.")
    ] = "",
    form: Annotated[str, typer.Option("--format", help="The format of FILE; empty = told by what it holds.")] = "",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on without records that cannot be read; they are listed.")
    ] = False,
    heldout_share: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of the questions that are kept apart to measure on.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a project of your feedback: data, one config a step with every choice explained, run.sh and a notebook.

    Looks at the file, asks on a terminal for what it cannot see, and measures how long each step will take here.
    """
    from spanwise.feedback import FeedbackRecord
    from spanwise.setup import check_free, make_project

    check_free(folder)
    if not source.is_dir():
        check_readable(source)
    read: ReadResult[FeedbackRecord] = _read(source, form)
    _check_read(read, source, skip_bad=skip_bad)
    model = model or _asked("Language model to improve (folder or Hub name)", "--model", _NO_MODEL)
    project = make_project(
        folder,
        read.records,
        source=source,
        model=model,
        backbone=backbone or None,
        heldout_share=heldout_share,
        seed=seed,
        problems=read.problems,
        say=lambda text: typer.echo(text, err=True),
    )
    summary = {
        "folder": folder,
        "files": project.files,
        "records": len(read.records),
        "left_out": len(read.problems),
        "heads": project.plan.heads.names,
        "said": project.plan.said,
        "timing": project.timing,
    }
    show(summary, _of_project(project, len(read.records)), as_json=as_json)


def _of_project(project: "Project", records: int) -> list[str]:
    """What there is to say of a project, and what to do next."""
    heads = ", ".join(project.plan.heads.names) or "one reward per token, from corrections"
    runs = project.folder / "runs"
    return [
        f"{count(records, 'record')}; heads: {heads}.",
        *project.plan.said,
        *project.timing,
        f"Wrote {project.folder}. Now:",
        f"  bash {project.folder / 'run.sh'}",
        f"  spanwise report {runs / 'rl'} {runs / 'evaluation'} --output report.html",
    ]


_NO_MODEL = (
    "a folder with a Hugging Face model (config.json, weights, tokenizer) needs no network; a Hub name such as "
    "Qwen/Qwen2.5-0.5B-Instruct is downloaded"
)


def _read(source: Path, form: str) -> "ReadResult[FeedbackRecord]":
    from spanwise.feedback.formats import format_of, names_of_formats, read_feedback

    form = form or format_of(source) or _asked("Format of the file", "--format", ", ".join(names_of_formats("read")))
    return read_feedback(source, form)


def _check_read(read: "ReadResult[FeedbackRecord]", source: Path, *, skip_bad: bool) -> None:
    """What could not be read is listed, and goes missing only where somebody says so."""
    from spanwise.cli.feedback import SHOWN_PROBLEMS

    if not (read.problems or read.unread):
        return
    for problem in read.problems[:SHOWN_PROBLEMS]:
        typer.echo(str(problem), err=True)
    for kind, number in read.unread.items():
        typer.echo(f"{source}: not read: {kind} ({number:,})", err=True)
    bad = len(read.rejected)
    missing = " and ".join([*([count(bad, "record")] if bad else []), *read.unread])
    if not (skip_bad or (_on_terminal() and typer.confirm(f"Go on without {missing}?", err=True))):
        raise DataError(f"{source}: {missing} cannot be read; mend the file, or go on without them by --skip-bad.")


def _asked(question: str, option: str, hint: str) -> str:
    """An answer from the terminal; ConfigError that names the option where there is none to ask."""
    if not _on_terminal():
        raise ConfigError(f"{option} is needed: {hint}.")
    typer.echo(f"({hint})", err=True)
    return str(typer.prompt(question, err=True))


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
