"""Joins the command groups and turns our errors into one sentence and exit code 2."""

import sys

import typer

from spanwise.errors import SpanwiseError

app = typer.Typer(
    name="spanwise",
    help="Train language models from feedback on parts of their answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line; errors of the user's making leave one sentence on stderr and exit code 2."""
    try:
        app()
    except SpanwiseError as error:
        print(f"spanwise: {error}", file=sys.stderr)
        sys.exit(2)
