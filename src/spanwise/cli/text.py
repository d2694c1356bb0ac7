"""`spanwise text`: look at how a text is cut into the segments that are judged."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from spanwise.cli.config_help import AsJson
from spanwise.cli.render import plain_table, print_json
from spanwise.core import DataError, read_text
from spanwise.text import SEGMENTERS, Span, check_text, get_segmenter, normalize_newlines

app = typer.Typer(name="text", help="Look at how texts are cut into segments.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look at how texts are cut into segments."""


@app.command()
def segment(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A UTF-8 text, .gz as well; standard input without it.", show_default=False
        ),
    ] = None,
    *,
    segmenter: Annotated[
        str, typer.Option(help=f"One of {', '.join(SEGMENTERS)} window:N for N words a segment, or my.module:function.")
    ] = "sentence",
    as_json: AsJson = False,
) -> None:
    """Show the segments of a text with their offsets.

    Offsets count Unicode code points, ends are exclusive, and line ends count as one. Nothing is left out:
    whitespace between two belongs to the one before.
    """
    cut = get_segmenter(segmenter)
    text = check_text(normalize_newlines(_read(file)), place=str(file or "standard input"))
    segments = cut(text)
    if as_json:
        rows = [{"start": span.start, "end": span.end, "text": span.of(text)} for span in segments]
        print_json({"segmenter": segmenter, "characters": len(text), "segments": rows})
    elif segments:
        _print_table(text, segments)
    else:
        typer.echo("The text is empty: it has no segments.", err=True)


def _read(file: Path | None) -> str:
    if file is not None:
        return read_text(file)
    try:
        return typer.get_binary_stream("stdin").read().decode()
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: not UTF-8 at byte {error.start}; convert the text to UTF-8.") from error


def _print_table(text: str, segments: tuple[Span, ...]) -> None:
    table = plain_table("start", "end", left=0)
    table.add_column("text", overflow="fold")
    for span in segments:
        table.add_row(str(span.start), str(span.end), Text(span.of(text).rstrip().replace("\n", "⏎")))
    Console().print(table)
