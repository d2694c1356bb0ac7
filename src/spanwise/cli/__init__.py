"""The `spanwise` command: one file per command or group of commands, imported when it is called.

To add a command: write a file whose `app` is a typer app (`config_help` has the arguments, `runner` the way from a
config to a result, `render` the printing) and name it in FILES. Errors that the user can mend are SpanwiseErrors;
they leave one sentence and the exit code 2.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spanwise.core import SpanwiseError

__all__ = ["app", "main"]

FILES = {name: name for name in ("quickstart", "text", "feedback", "edits", "annotate", "reward", "evaluate")} | {
    "init": "quickstart",
    "sft": "policies",
    "dpo": "policies",
    "rl": "policies",
    "sweep": "share",
    "generate": "policies",
    "score": "engines",
    "export": "engines",
    "doctor": "engines",
    "report": "share",
    "push": "share",
}
"""The commands as `spanwise --help` lists them, each with its file beside this one."""
EXTRAS = {
    "train": "huggingface_hub jinja2 matplotlib packaging psutil pyarrow rouge_score scipy sklearn tokenizers torch "
    "transformers",
    "annotate": "alembic argon2 prometheus_client psycopg sqlalchemy starlette uvicorn",
    "editors": "anthropic openai",
    "tables": "openpyxl",
    "reliability": "crowdkit pandas",
}
"""What each extra of the package installs."""


class _Commands(Mapping[str, Any]):
    """The commands by name, so that none waits for the imports of another."""

    def __getitem__(self, name: str) -> Any:
        return _command(name, FILES[name])

    def __iter__(self) -> Iterator[str]:
        return iter(FILES)

    def __len__(self) -> int:
        return len(FILES)


@cache
def _command(name: str, file: str) -> Any:
    """A command of a file that holds several, or the whole file as a group."""
    group = typer.main.get_group(importlib.import_module(f"spanwise.cli.{file}").app)
    command = group.commands.get(name, group)
    command.name = name
    _unwrap_help(command)
    return command


def _unwrap_help(command: Any) -> None:
    """Joins the lines of each paragraph, which typer would break where the source happens to."""
    if command.help:
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in command.help.split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _unwrap_help(inner)


class _Root(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        commands: Any = _Commands()
        self.commands = commands


app = typer.Typer(
    name="spanwise",
    cls=_Root,
    help="Train language models from feedback on parts of their answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"spanwise {version('spanwise')}")
        raise typer.Exit


@app.callback()
def before_any_command(
    ctx: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Keeps transformers from drawing bars of its own wherever weights are read or written; `push` shows uploads.

    By its environment variable, because importing it takes seconds that most commands need not spend. Who sets it to 0
    sees the bars.
    """
    if ctx.invoked_subcommand != "push":
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def main() -> None:
    """Runs the command line; errors of the user's making leave one sentence on stderr and exit code 2."""
    try:
        app()
    except SpanwiseError as error:
        sys.exit(_say(str(error)))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((name for name, packages in EXTRAS.items() if package in packages.split()), None)
        if extra is None:
            raise
        sys.exit(_say(f"This command needs {package}; install it with: pip install 'spanwise[{extra}]'"))


def _say(sentence: str) -> int:
    print(f"spanwise: {sentence}", file=sys.stderr)
    return 2
