"""Shows every field of a command's config in its `--help`: key, type, default and sentence.

Knows no single config. A command names its config as "package.module:Class", which is imported only when help
is asked for, so that `spanwise --help` stays quick and works without torch.
"""

import importlib
from typing import Any, cast

from pydantic import BaseModel
from rich.markup import escape
from typer.core import TyperCommand

from spanwise.config import field_rows
from spanwise.errors import ConfigError


def describe_config(model: type[BaseModel]) -> str:
    """The fields of `model` as help text in rich markup, one paragraph each."""
    head = "[bold]Fields of CONFIG.yaml[/bold] (dots reach into sections; key=value on the command line wins):"
    rows = [_row(*row) for row in field_rows(model)]
    return "\n\n".join([head, *rows])


def config_command(reference: str) -> type[TyperCommand]:
    """A command class whose --help ends with the fields of the config at `reference` ("package.module:Class").

    Use it as `@app.command(cls=config_command("spanwise.rl.config:RLConfig"))`.
    """

    class ConfigCommand(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = describe_config(_load(reference))
            super().format_help(ctx, formatter)

    return ConfigCommand


def _row(key: str, kind: str, default: str, sentence: str) -> str:
    shown = "required" if default == "required" else f"default {default or '(empty)'}"
    return f"  [bold cyan]{escape(key)}[/bold cyan] [dim]{escape(f'{kind}, {shown}')}[/dim]  {escape(sentence)}"


def _load(reference: str) -> type[BaseModel]:
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("spanwise"):
            raise
        raise ConfigError(f"This command needs {error.name}; install it with: pip install 'spanwise[train]'") from error
    return cast("type[BaseModel]", found)
