"""`spanwise feedback`: figures, checks and conversions of feedback files."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spanwise.cli import reliability
from spanwise.cli.config_help import (
    AsJson,
    ColumnOptions,
    ConfigPath,
    EmptyIsClean,
    Overrides,
    Separator,
    Sheet,
    config_command,
    layout_of,
)
from spanwise.cli.render import count, left_out, plain_table, print_json, show, visible
from spanwise.cli.runner import on_device
from spanwise.core import ConfigError, DataError
from spanwise.feedback import Problem, ReadResult
from spanwise.feedback.formats import (
    Checked,
    Conversion,
    Reading,
    Unit,
    checked,
    convert,
    names_of_formats,
    not_allowed,
)
from spanwise.feedback.formats.tables import is_table
from spanwise.feedback.statistics import Spread, Statistics, describe

RecordT = TypeVar("RecordT")
app = typer.Typer(name="feedback", help="Look at, check and convert files of feedback.", no_args_is_help=True)
reliability.add_to(app)

SHOWN_PROBLEMS = 20
"""How many are listed one by one."""

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The file; .gz is read as well.", show_default=False)]
READ_HELP = f"The format of the file: {', '.join(names_of_formats('read'))}."
WRITTEN_HELP = f"The format to write: {', '.join(names_of_formats('written'))}."
Form = Annotated[str, typer.Option("--format", help=READ_HELP)]
AllowLoss = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND", help="A kind of feedback that may stay unread, as the command names it; repeatable."),
]
Offsets = Annotated[str, typer.Option(help=f"What the offsets of another tool count: {', '.join(get_args(Unit))}.")]


@app.command()
def stats(
    file: Source,
    *,
    form: Form = "spanwise",
    column: ColumnOptions = None,
    separator: Separator = "",
    empty_is_clean: EmptyIsClean = False,
    sheet: Sheet = "",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Show what a feedback file holds and what to know before training on it.

    Bad records are left out of the figures, listed on standard error, and make the exit code 2, and so does feedback
    that is not read.
    """
    layout = layout_of(column, separator, sheet, empty_is_clean=empty_is_clean)
    reading = Reading(unit_of(offsets), layout=layout, allow_loss=allow_loss or ())
    result = checked(file, form, reading)
    figures = describe(result.records())
    if as_json:
        print_json({**figures.as_dict(), "rejected": result.rejected, "unread": result.unread})
    elif result.good or not result.problems:
        _print_statistics(Console(), str(file), figures)
    leave_if_bad(result, allow_loss or ())


@app.command()
def validate(
    file: Source,
    *,
    form: Form = "spanwise",
    column: ColumnOptions = None,
    separator: Separator = "",
    empty_is_clean: EmptyIsClean = False,
    sheet: Sheet = "",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Check every record of a feedback file.

    Each problem names file, line, field and reason on standard error; one of them makes the exit code 2, and so does
    feedback that is not read.
    """
    layout = layout_of(column, separator, sheet, empty_is_clean=empty_is_clean)
    reading = Reading(unit_of(offsets), layout=layout, allow_loss=allow_loss or ())
    result = checked(file, form, reading)
    for _ in result:
        pass
    good, bad = result.good, result.rejected
    if as_json:
        problems = [problem.as_dict() for problem in result.problems]
        counts = {"records": good, "rejected": bad, "unread": result.unread}
        print_json({"file": str(file), **counts, "problems": problems})
        raise typer.Exit(2 if problems or not_allowed(result.unread, allow_loss or ()) else 0)
    typer.echo(f"{file}: {count(good, 'good record')}, {bad:,} bad.")
    leave_if_bad(result, allow_loss or ())


@app.command(name="convert")
def convert_file(
    file: Source,
    target: Annotated[
        Path | None, typer.Argument(metavar="[OUTPUT]", help="Where to write; .gz compresses.", show_default=False)
    ] = None,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The same, as an option.")] = None,
    to: Annotated[
        str, typer.Option("--to", help=f"{WRITTEN_HELP} Empty = table for .csv, .tsv and .parquet, else spanwise.")
    ] = "",
    form: Annotated[str, typer.Option("--from", help=READ_HELP)] = "spanwise",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Write the good records; the bad ones go to OUTPUT.rejected.jsonl.")
    ] = False,
    column: ColumnOptions = None,
    separator: Separator = "",
    empty_is_clean: EmptyIsClean = False,
    sheet: Sheet = "",
    offsets: Offsets = "auto",
    allow_loss: AllowLoss = None,
    as_json: AsJson = False,
) -> None:
    """Convert a feedback file into another format.

    With bad records nothing is written and the exit code is 2, unless --skip-bad is given; the same holds for feedback
    that is not read, unless --allow-loss names its kind.
    """
    output = _one_output(target, output)
    to = to or ("table" if is_table(output) else "spanwise")
    allowed, layout = allow_loss or (), layout_of(column, separator, sheet, empty_is_clean=empty_is_clean)
    unit = unit_of(offsets)
    done = convert(file, form, output, to, skip_bad=skip_bad, allow_loss=allowed, unit=unit, layout=layout)
    bad = bool(done.problems) and not skip_bad
    refused = bad or bool(not_allowed(done.unread, allowed))
    if as_json:
        print_json(_summary(done, output))
    elif not refused:
        _say_what_was_done(done, output, to)
    lost = print_unread(done.unread, allowed, " Nothing was written.")
    if bad:
        hint = "Nothing was written. --skip-bad writes the good records and puts the bad ones into a file of their own."
        print_problems(Console(stderr=True), done.problems, hint)
    if bad or lost:
        raise typer.Exit(2)


def _one_output(*given: Path | None) -> Path:
    paths = [path for path in given if path is not None]
    if len(paths) != 1:
        raise ConfigError("Name one file to write: spanwise feedback convert FILE OUTPUT.")
    if paths[0].is_dir():
        raise ConfigError(f"{paths[0]}: is a folder; name the file to write.")
    return paths[0]


Against = Annotated[
    Path | None,
    typer.Option(
        metavar="MARKS.jsonl",
        help="Feedback records of people on the same answers, which the report compares with; where CONFIG names no "
        "responses, theirs are read.",
    ),
]


@app.command(cls=config_command("spanwise.llm.critics.config:CritiqueConfig"))
def critique(
    config: ConfigPath, overrides: Overrides = None, *, against: Against = None, as_json: AsJson = False
) -> None:
    """Have a language model mark the answers of a file: its critique first, then spans.

    Replies that were paid for are kept beside the output: after a stop, the same command asks only what is left. With
    --against it says of each category whether the critic may replace people, may pre-mark for them, or neither.
    """
    _criticise("critique", config, overrides, against, as_json=as_json)


@app.command(cls=config_command("spanwise.llm.critics.config:CritiqueConfig"))
def comments(
    config: ConfigPath, overrides: Overrides = None, *, against: Against = None, as_json: AsJson = False
) -> None:
    """Have a language model turn readers' comments on answers, in words, into marks and missing information.

    It marks what the column `comment` says and judges nothing itself; what of a comment cannot be a mark is kept beside
    it. With --against the marks are compared with direct ones.
    """
    _criticise("comments", config, overrides, against, as_json=as_json)


def _criticise(
    asks: Literal["critique", "comments"],
    config: Path,
    overrides: Sequence[str] | None,
    against: Path | None,
    *,
    as_json: bool,
) -> None:
    from spanwise.llm.critics import CritiqueConfig, criticise

    given = [*(overrides or [])]
    if against is not None and asks == "critique":
        given = [f"responses={against}", *given]
    settings = CritiqueConfig.load(config, given)
    if settings.endpoint.provider == "local":
        settings = settings.model_copy(update={"endpoint": on_device(settings.endpoint)})
    report = criticise(settings, asks=asks, against=against)
    show(report.as_dict(), report.lines(), as_json=as_json)


def _summary(done: Conversion, output: Path) -> dict[str, Any]:
    beside = str(done.rejected_path) if done.rejected_path else None
    counts = {"written": done.written, "rejected": done.rejected, "not_kept": done.not_kept, "left_out": done.left_out}
    problems = [problem.as_dict() for problem in done.problems]
    counts["unread"] = done.unread
    return {"output": str(output), **counts, "rejected_output": beside, "problems": problems}


def _say_what_was_done(done: Conversion, output: Path, to: str) -> None:
    typer.echo(f"Wrote {count(done.written, 'record')} to {output}.")
    if done.rejected_path:
        typer.echo(f"Left out {count(done.rejected, 'bad record')}, kept with the reasons in {done.rejected_path}.")
    for name, number in done.not_kept.items():
        typer.echo(f"The format {to} has no place for {name}: it was left out of {count(number, 'record')}.", err=True)
    for line in left_out(done.left_out):
        typer.echo(line, err=True)


def print_problems(console: Console, problems: Sequence[Problem], hint: str = "") -> None:
    """Lists the first problems, one line each, says how many there are, and ends with `hint`."""
    for problem in problems[:SHOWN_PROBLEMS]:
        console.print(Text(str(problem)), soft_wrap=True)
    more = len(problems) - SHOWN_PROBLEMS
    if more > 0:
        console.print(f"... and {more:,} more problems; --json lists all of them.", soft_wrap=True)
    records = len({problem.place for problem in problems})
    total = f"{count(len(problems), 'problem')} in {count(records, 'record')}. {hint}"
    console.print(total.rstrip(), soft_wrap=True, style="bold", highlight=False)


def print_unread(unread: Mapping[str, int], allow_loss: Collection[str], outcome: str = "") -> bool:
    """Says on standard error what was not read, by kind; returns whether that is a loss which nobody allowed."""
    for kind, number in unread.items():
        typer.echo(f"not read  {visible(kind)}: {number:,}", err=True)
    lost = not_allowed(unread, allow_loss)
    if lost:
        options = " ".join(f"--allow-loss {visible(repr(kind))}" for kind in lost)
        typer.echo(f"The file holds feedback that is not read.{outcome} To go on without it: {options}", err=True)
    return bool(lost)


def not_empty(result: ReadResult[RecordT], file: Path) -> ReadResult[RecordT]:
    """What was read, or DataError where the file held nothing at all."""
    if result.is_empty:
        raise DataError(f"{file}: holds no records; check the file.")
    return result


def leave_if_bad(result: ReadResult[Any] | Checked[Any], allow_loss: Collection[str]) -> None:
    """Lists what was wrong with a file and what was not read of it; exit code 2 unless all is well or allowed."""
    lost = print_unread(result.unread, allow_loss)
    if result.problems:
        print_problems(Console(stderr=True), result.problems)
    if result.problems or lost:
        raise typer.Exit(2)


def unit_of(name: str) -> Unit:
    """What offsets count; raises ConfigError for another word."""
    for unit in get_args(Unit):
        if unit == name:
            return unit
    raise ConfigError(f"--offsets is one of {', '.join(get_args(Unit))}, not {name!r:.40}.")


def _print_statistics(console: Console, title: str, figures: Statistics) -> None:
    """Prints tables of spans, missing information, preferences, edits and lengths, then the warnings."""
    head = f"{figures.items:,} items, {figures.responses:,} responses, {figures.marked_responses:,} of them marked"
    console.print(Text.assemble((title, "bold"), f": {head}"), soft_wrap=True)
    tables = (_spans(figures), _missing(figures), _preferences(figures), _edits(figures), _lengths(figures))
    for table in tables:
        if table.row_count:
            console.print(Padding(table, (1, 0, 0, 0)))
    for warning in figures.warnings:
        console.print(Padding(Text.assemble(("! ", "bold yellow"), visible(warning)), (1, 0, 0, 0)))


def _add(table: Table, name: str, *cells: str) -> None:
    table.add_row(Text(visible(name)), *cells)


def _spans(figures: Statistics) -> Table:
    table = plain_table("category", "spans", "items", "words", "median", "p90", "max", "< 5", "text", title="Spans")
    for name, category_figures in figures.categories.items():
        spread = [
            _mean(category_figures.words),
            *(_whole(category_figures.words, key) for key in ("median", "p90", "max")),
        ]
        _add(
            table,
            name,
            f"{category_figures.count:,}",
            f"{category_figures.items:,}",
            *spread,
            str(category_figures.short),
            _rate(category_figures.share_of_characters),
        )
    if figures.categories:
        _add(table, "all", f"{figures.spans:,}", *[""] * 6, _rate(figures.share_of_characters))
    return table


def _missing(figures: Statistics) -> Table:
    table = plain_table("category", "marks", "items", title="Missing information")
    for name, marks in figures.missing_by_category.items():
        _add(table, name, f"{marks:,}")
    if figures.missing:
        _add(table, "all", f"{figures.missing:,}", f"{figures.missing_details.items:,}")
    return table


def _preferences(figures: Statistics) -> Table:
    preferences = figures.preferences
    total = preferences.first + preferences.second + preferences.tie
    table = plain_table("outcome", "pairs", "share", title="Preferences")
    if total:
        for name, pairs in (
            ("first listed wins", preferences.first),
            ("second listed wins", preferences.second),
            ("tie", preferences.tie),
        ):
            _add(table, name, f"{pairs:,}", _rate(pairs / total))
        for position, rate in enumerate(preferences.win_rate_by_position):
            _add(table, f"decided pairs won by response {position}", "", _rate(rate))
    return table


def _edits(figures: Statistics) -> Table:
    edits = figures.edits
    table = plain_table("figure", "value", title="Corrections")
    if edits.corrected:
        _add(table, "corrected responses", f"{edits.corrected:,}")
        _add(table, "  unchanged / empty", f"{edits.identical:,} / {edits.blank:,}")
        _add(table, "changed places, mean", _mean(edits.blocks))
        _add(table, "words deleted / inserted, mean", f"{_mean(edits.deleted_words)} / {_mean(edits.inserted_words)}")
        _add(table, "words kept", _rate(edits.kept_words))
        _add(table, "  outside spans", _rate(edits.kept_words_outside_spans))
        _add(table, "  inside spans", _rate(edits.kept_words_inside_spans))
    return table


def _lengths(figures: Statistics) -> Table:
    lengths = figures.lengths
    table = plain_table("text", "mean", "median", "p90", "max", title="Words")
    rows = {"prompt": lengths.prompt, "all passages": lengths.context, "reference": lengths.references}
    rows |= {f"response {position}": spread for position, spread in enumerate(lengths.responses)}
    for name, spread in (rows | {"correction": lengths.corrections}).items():
        if spread:
            _add(table, name, _mean(spread), *(_whole(spread, key) for key in ("median", "p90", "max")))
    return table


def _mean(spread: Spread | None) -> str:
    return f"{spread.mean:.1f}" if spread else ""


def _whole(spread: Spread | None, key: str) -> str:
    return f"{getattr(spread, key):g}" if spread else ""


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
