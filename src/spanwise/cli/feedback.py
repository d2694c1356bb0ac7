"""`spanwise feedback`: figures, checks and conversions of feedback files."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from spanwise.cli.feedback_tables import print_problems, print_statistics
from spanwise.cli.render import count, left_out, print_json
from spanwise.feedback import Problem
from spanwise.feedback.formats import Conversion, convert, names_of_formats, read_feedback
from spanwise.feedback.statistics import describe

app = typer.Typer(name="feedback", help="Look at, check and convert files of feedback.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The file; .gz is read as well.", show_default=False)]
_READ = f"The format of the file: {', '.join(names_of_formats('read'))}."
_WRITTEN = f"The format to write: {', '.join(names_of_formats('written'))}."
Form = Annotated[str, typer.Option("--format", help=_READ)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def stats(file: Source, *, form: Form = "spanwise", as_json: AsJson = False) -> None:
    """Show what a feedback file holds and what to know before training on it.

    Bad records are left out of the figures, listed on standard error, and make the exit code 2.
    """
    result = read_feedback(file, form)
    figures = describe(result.records)
    if as_json:
        print_json({**figures.as_dict(), "rejected": len(result.rejected)})
    elif result.records or not result.problems:
        print_statistics(Console(), str(file), figures)
    _leave_if_bad(result.problems)


@app.command()
def validate(file: Source, *, form: Form = "spanwise", as_json: AsJson = False) -> None:
    """Check every record of a feedback file.

    Each problem names file, line, field and reason on standard error; one of them makes the exit code 2.
    """
    result = read_feedback(file, form)
    good, bad = len(result.records), len(result.rejected)
    if as_json:
        problems = [problem.as_dict() for problem in result.problems]
        print_json({"file": str(file), "records": good, "rejected": bad, "problems": problems})
        raise typer.Exit(2 if problems else 0)
    typer.echo(f"{file}: {count(good, 'good record')}, {bad:,} bad.")
    _leave_if_bad(result.problems)


@app.command(name="convert")
def convert_file(
    file: Source,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; .gz compresses.")],
    to: Annotated[str, typer.Option("--to", help=_WRITTEN)],
    form: Annotated[str, typer.Option("--from", help=_READ)] = "spanwise",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Write the good records; the bad ones go to OUTPUT.rejected.jsonl.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a feedback file into another format.

    With bad records nothing is written and the exit code is 2, unless --skip-bad is given.
    """
    done = convert(file, form, output, to, skip_bad=skip_bad)
    refused = bool(done.problems) and not skip_bad
    if as_json:
        print_json(_summary(done, output))
    elif not refused:
        _say_what_was_done(done, output, to)
    if refused:
        hint = "Nothing was written. --skip-bad writes the good records and puts the bad ones into a file of their own."
        _leave_if_bad(done.problems, hint)


def _summary(done: Conversion, output: Path) -> dict[str, Any]:
    beside = str(done.rejected_path) if done.rejected_path else None
    counts = {"written": done.written, "rejected": done.rejected, "not_kept": done.not_kept, "left_out": done.left_out}
    problems = [problem.as_dict() for problem in done.problems]
    return {"output": str(output), **counts, "rejected_output": beside, "problems": problems}


def _say_what_was_done(done: Conversion, output: Path, to: str) -> None:
    typer.echo(f"Wrote {count(done.written, 'record')} to {output}.")
    if done.rejected_path:
        typer.echo(f"Left out {count(done.rejected, 'bad record')}, kept with the reasons in {done.rejected_path}.")
    for name, number in done.not_kept.items():
        typer.echo(f"The format {to} has no place for {name}: it was left out of {count(number, 'record')}.", err=True)
    for line in left_out(done.left_out):
        typer.echo(line, err=True)


def _leave_if_bad(problems: list[Problem], hint: str = "") -> None:
    if problems:
        print_problems(Console(stderr=True), problems, hint)
        raise typer.Exit(2)
