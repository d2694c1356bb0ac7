"""How results look in a terminal: JSON, lines, tables, numbers and bars, the same for every command."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from spanwise.core import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from spanwise.evals.report import Table as ScoreTable
    from spanwise.feedback import FeedbackRecord


def show(
    summary: Mapping[str, Any],
    lines: Iterable[str],
    scores: "ScoreTable | None" = None,
    title: str = "",
    *,
    as_json: bool,
) -> None:
    """Prints a result: the summary as one JSON object where asked for, else the table where there is one, and lines."""
    if as_json:
        print_json(summary)
        return
    if scores is not None:
        print_scores(scores, title)
    for line in lines:
        typer.echo(line)


def print_json(value: Any) -> None:
    """Prints one JSON object, paths as text; a number that is not finite, such as the mean of nothing, is null."""
    typer.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str))


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in cast("Sequence[Any]", value)]
    return value


def plain_table(*columns: str, left: int = 1, title: str = "") -> "Table":
    """A table without lines: the first `left` columns hold words, the others numbers, which end at the right."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.padding = (0, 2, 0, 0)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right", no_wrap=position == 0)
    return table


def print_scores(scores: "ScoreTable", title: str = "") -> None:
    """Prints a table of the report with its rows as columns, so that many metrics fit a narrow terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title, box=box.SIMPLE)
    for row in scores.rows:
        table.add_column(Text(row.title, overflow="fold"))
    for position, column in enumerate(scores.columns):
        cells = [row.cells[position] for row in scores.rows]
        words = [" ".join(filter(None, [cell.text, cell.interval, cell.note])) for cell in cells]
        table.add_row(f"{column.title} ({column.unit})" if column.unit else column.title, *map(Text, words))
    Console().print(table)


def bar() -> "Progress":
    """A progress bar on standard error, silent where that is no terminal; use it as a context manager."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal)


def count(number: int, noun: str) -> str:
    """The number with its noun, in the plural where that is due."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def bounds(low: float | None, high: float | None, form: str = ".3g") -> str:
    """An interval in brackets behind a figure, with a space before it; empty where an end is not known."""
    return "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"


def interval(low: float | None, high: float | None, form: str = ".2f") -> str:
    """An interval in words, empty where an end is not known."""
    return "" if low is None or high is None else f"95 % interval {low:{form}} to {high:{form}}"


def left_out(reasons: Mapping[str, int]) -> list[str]:
    """Lines that say how many records were not used, by reason."""
    return [f"left out  {reason}: {amount}" for reason, amount in reasons.items()]


def visible(text: str) -> str:
    """Control characters of a hostile file as escapes, so that they cannot steer the terminal."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def quality_words(metrics: Mapping[str, float]) -> str:
    """What a head of a reward model reaches, and what it had to beat."""
    if not metrics.get("segments") and not metrics.get("pairs"):
        return "nothing to measure on"
    if "pairs" in metrics:
        order = f", first listed {metrics['first_listed_wins']:.3f}" if "first_listed_wins" in metrics else ""
        return f"pair accuracy {metrics['pair_accuracy']:.3f} (longer {metrics['longer_wins']:.3f}{order})"
    if "accuracy" not in metrics:
        only = "right" if metrics.get("error_share") == 0 else "wrong"
        return f"accuracy and AUROC not known: all {metrics['segments']} segments are {only}"
    ranking = f", AUROC {metrics['auroc']:.3f}" if "auroc" in metrics else ""
    return (
        f"accuracy {metrics['accuracy']:.3f} (majority {metrics['majority_accuracy']:.3f}){ranking}, "
        f"error F1 {metrics['error_f1']:.3f}, calibration error {metrics['calibration_error']:.3f}"
    )


def records_of(paths: Sequence[Path], *, field: str) -> "list[FeedbackRecord]":
    """The feedback of several files; ConfigError that names `field` where there is no file."""
    from spanwise.feedback import FeedbackRecord, load_or_raise

    if not paths:
        raise ConfigError(f"{field} names no file; give feedback files, for example {field}=[feedback.jsonl].")
    return [record for path in paths for record in load_or_raise(path, FeedbackRecord)]
