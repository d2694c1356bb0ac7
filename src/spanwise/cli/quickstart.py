"""Two ways to begin: `spanwise quickstart`, the loop on the simulated world, and `spanwise init`, on your own file."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import (
    AsJson,
    ColumnOptions,
    EmptyIsClean,
    Separator,
    Sheet,
    layout_of,
    output_option,
)
from spanwise.cli.feedback import SHOWN_PROBLEMS, AllowLoss
from spanwise.cli.render import count, print_json, show
from spanwise.core import ConfigError, DataError, check_readable

if TYPE_CHECKING:
    from spanwise.feedback import FeedbackRecord, ReadResult
    from spanwise.feedback.formats.tables import Layout
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
    column: ColumnOptions = None,
    separator: Separator = "",
    empty_is_clean: EmptyIsClean = False,
    sheet: Sheet = "",
    allow_loss: AllowLoss = None,
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
    from spanwise.setup import check_free, make_project

    check_free(folder)
    if not source.is_dir():
        check_readable(source)
    layout = layout_of(column, separator, sheet, empty_is_clean=empty_is_clean)
    read = _read(source, form, layout, allow_loss or ())
    _check_read(read, source, allow_loss or (), skip_bad=skip_bad)
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
    show(_summary(project, folder, read), _of_project(project, len(read.records)), as_json=as_json)


def _summary(project: "Project", folder: Path, read: "ReadResult[FeedbackRecord]") -> dict[str, Any]:
    return {
        "folder": folder,
        "files": project.files,
        "records": len(read.records),
        "left_out": len(read.problems),
        "heads": project.plan.heads.names,
        "said": project.plan.said,
        "timing": project.timing,
    }


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


def _read(source: Path, form: str, layout: "Layout", allow_loss: Sequence[str]) -> "ReadResult[FeedbackRecord]":
    from spanwise.feedback.formats import Reading, format_of, names_of_formats, read_feedback
    from spanwise.feedback.formats.tables import is_table

    form = form or format_of(source) or _asked("Format of the file", "--format", ", ".join(names_of_formats("read")))
    if form not in ("table", "spanwise") or source.is_dir() or not is_table(source):
        return read_feedback(source, form, reading=Reading(layout=layout, allow_loss=allow_loss))
    layout = _completed(layout, source) if _on_terminal() else layout
    read = read_feedback(source, form, reading=Reading(layout=layout, allow_loss=allow_loss))
    unjudged = _unjudged(read)
    if not unjudged or layout.empty_is_clean or not _says_clean(unjudged, source):
        return read
    layout = layout.model_copy(update={"empty_is_clean": True})
    return read_feedback(source, form, reading=Reading(layout=layout, allow_loss=allow_loss))


def _completed(layout: "Layout", source: Path) -> "Layout":
    """The layout with what its user says of sheet and columns, where names leave it open."""
    from spanwise.feedback.formats.tables import filled_sheets, open_questions, open_table

    sheets = filled_sheets(source)
    if len(sheets) > 1 and not layout.sheet:
        layout = layout.model_copy(update={"sheet": _chosen("Which sheet holds the answers?", sheets)})
    columns = dict(layout.columns)
    for meaning, names in open_questions(open_table(source, layout.sheet).columns, layout).items():
        free = [name for name in names if name not in columns.values()]
        if free:
            columns[meaning] = _chosen(f"Which column holds {_MEANT.get(meaning, f'the {meaning}')}?", [*free, ""])
    return layout.model_copy(update={"columns": columns})


_MEANT = {
    "response": "the answers",
    "prompt": "what was asked",
    "marks": "the quotes of what is wrong in an answer",
    "category": "what is wrong with a quote",
    "checked": "whether somebody has finished the row",
}
"""Meanings of columns in the words of a question."""


def _chosen(question: str, names: Sequence[str]) -> str:
    """One of the names, chosen on the terminal by its number or by itself; the empty name means none of them."""
    for number, name in enumerate(names, start=1):
        typer.echo(f"  {number}  {name or '(none of these)'}", err=True)
    numbers = {str(number): name for number, name in enumerate(names, start=1)}
    while (answer := str(typer.prompt(question, err=True)).strip()) not in {**numbers, **dict.fromkeys(names)}:
        typer.echo(f"Give one of the numbers 1 to {len(names)}.", err=True)
    return answer if answer in names else numbers[answer]


def _unjudged(read: "ReadResult[FeedbackRecord]") -> int:
    """How many answers have no mark, where the table calls none of them finished."""
    answers = [response for record in read.records if not record.preferences for response in record.responses]
    if any(response.marked and not (response.spans or response.missing) for response in answers):
        return 0
    return sum(not response.marked and response.correction is None for response in answers)


def _says_clean(unjudged: int, source: Path) -> bool:
    """Whether answers without a mark are free of errors, as only their user knows; off a terminal nobody said so."""
    answers = count(unjudged, "answer")
    if _on_terminal():
        question = f"{answers} without a mark: has somebody read every row, so that these have no errors?"
        return typer.confirm(question, default=False, err=True)
    remedy = "--empty-is-clean says that somebody read every row, a column `done` says it row by row"
    typer.echo(f"{source}: {answers} without a mark count as unjudged; {remedy}.", err=True)
    return False


def _check_read(read: "ReadResult[FeedbackRecord]", source: Path, allow_loss: Sequence[str], *, skip_bad: bool) -> None:
    """What could not be read is listed, and goes missing only where somebody says so."""
    from spanwise.feedback.formats import not_allowed

    for problem in read.problems[:SHOWN_PROBLEMS]:
        typer.echo(str(problem), err=True)
    for kind, number in read.unread.items():
        typer.echo(f"{source}: not read: {kind} ({number:,})", err=True)
    bad = len(read.rejected)
    missing = [*([count(bad, "record")] if bad else []), *not_allowed(read.unread, allow_loss)]
    if not missing or skip_bad or (_on_terminal() and typer.confirm(f"Go on without {_joined(missing)}?", err=True)):
        return
    raise DataError(f"{source}: {_joined(missing)} cannot be read; mend the file, or go on without them by --skip-bad.")


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(parts)


def _asked(question: str, option: str, hint: str) -> str:
    """An answer from the terminal; ConfigError that names the option where there is none to ask."""
    if not _on_terminal():
        raise ConfigError(f"{option} is needed: {hint}.")
    typer.echo(f"({hint})", err=True)
    return str(typer.prompt(question, err=True))


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
