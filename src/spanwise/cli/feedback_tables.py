"""How the figures and problems of a feedback file look in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spanwise.feedback import Problem
from spanwise.feedback.statistics import Spread, Statistics

SHOWN_PROBLEMS = 20


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


def count(number: int, noun: str) -> str:
    """The number with its noun, in the plural where that is due."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def print_statistics(console: Console, title: str, figures: Statistics) -> None:
    """Prints tables of spans, missing information, preferences, edits and lengths, then the warnings."""
    head = f"{figures.items:,} items, {figures.responses:,} responses, {figures.marked_responses:,} of them marked"
    console.print(Text.assemble((title, "bold"), f": {head}"), soft_wrap=True)
    tables = (_spans(figures), _missing(figures), _preferences(figures), _edits(figures), _lengths(figures))
    for table in tables:
        if table.row_count:
            console.print(Padding(table, (1, 0, 0, 0)))
    for warning in figures.warnings:
        console.print(Padding(Text.assemble(("! ", "bold yellow"), _visible(warning)), (1, 0, 0, 0)))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def _add(table: Table, name: str, *cells: str) -> None:
    table.add_row(Text(_visible(name)), *cells)


def _spans(figures: Statistics) -> Table:
    table = _table("Spans", "category", "spans", "items", "words", "median", "p90", "max", "< 5", "text")
    for name, found in figures.categories.items():
        spread = [_mean(found.words), *(_whole(found.words, key) for key in ("median", "p90", "max"))]
        _add(
            table,
            name,
            f"{found.count:,}",
            f"{found.items:,}",
            *spread,
            str(found.short),
            _rate(found.share_of_characters),
        )
    if figures.categories:
        _add(table, "all", f"{figures.spans:,}", *[""] * 6, _rate(figures.share_of_characters))
    return table


def _missing(figures: Statistics) -> Table:
    table = _table("Missing information", "category", "marks", "items")
    for name, count in figures.missing_by_category.items():
        _add(table, name, f"{count:,}")
    if figures.missing:
        _add(table, "all", f"{figures.missing:,}", f"{figures.missing_details.items:,}")
    return table


def _preferences(figures: Statistics) -> Table:
    found = figures.preferences
    total = found.first + found.second + found.tie
    table = _table("Preferences", "outcome", "pairs", "share")
    if total:
        for name, count in (
            ("first listed wins", found.first),
            ("second listed wins", found.second),
            ("tie", found.tie),
        ):
            _add(table, name, f"{count:,}", _rate(count / total))
        for position, rate in enumerate(found.win_rate_by_position):
            _add(table, f"decided pairs won by response {position}", "", _rate(rate))
    return table


def _edits(figures: Statistics) -> Table:
    edits = figures.edits
    table = _table("Corrections", "figure", "value")
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
    table = _table("Words", "text", "mean", "median", "p90", "max")
    rows = {"prompt": lengths.prompt, "all passages": lengths.context, "reference": lengths.references}
    rows |= {f"response {position}": spread for position, spread in enumerate(lengths.responses)}
    for name, spread in (rows | {"correction": lengths.corrections}).items():
        if spread:
            _add(table, name, _mean(spread), *(_whole(spread, key) for key in ("median", "p90", "max")))
    return table


def _visible(text: str) -> str:
    """Control characters of a hostile file as escapes, so that they cannot steer the terminal."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def _mean(spread: Spread | None) -> str:
    return f"{spread.mean:.1f}" if spread else ""


def _whole(spread: Spread | None, key: str) -> str:
    return f"{getattr(spread, key):g}" if spread else ""


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
