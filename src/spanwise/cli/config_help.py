"""Arguments that several commands take, and every field of a command's config in its `--help`.

Knows no single config. A command names its config as "package.module:Class", which is imported only when help
is asked for, so that `spanwise --help` stays quick and works without torch.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin

import typer
from pydantic import BaseModel
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from spanwise.core import ConfigError, field_rows
from spanwise.feedback.formats.tables import Layout

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The settings.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings that win over the file. Dots reach into sections; a mapping such as 'kl={coef: 0.1}' is merged "
        "into its section, and {} resets the section.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
"""The arguments that every command with a config takes."""
ColumnOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="MEANING=COLUMN",
        help="What a column of a table means, such as prompt=question; repeatable.",
    ),
]
Separator = Annotated[str, typer.Option(help="What parts the quotes in a cell of a table; empty = | and line breaks.")]
EmptyIsClean = Annotated[
    bool, typer.Option("--empty-is-clean", help="Somebody finished every row: an answer without marks has no errors.")
]
Sheet = Annotated[str, typer.Option(help="The sheet of a workbook, where several hold something.")]
"""How a table of feedback is to be read."""
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")]
"""Where a command without a config runs its model."""


def output_option(sentence: str) -> Any:
    """What a command writes, a file or folder; stands in the brackets of Annotated, behind Path."""
    return typer.Option("--output", "-o", help=sentence)


def describe_config(model: type[BaseModel]) -> str:
    """The fields of `model` as help text in rich markup, one paragraph each."""
    head = "[bold]Fields of CONFIG.yaml[/bold] (dots reach into sections; key=value on the command line wins):"
    return "\n\n".join([head, *(_row(*row) for row in _all_rows(model))])


def config_rows(reference: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, default, sentence) of every field of the config at `reference`, as `--help` shows them."""
    return _all_rows(_load(reference))


def config_command(*references: str) -> type[TyperCommand]:
    """A command class whose --help ends with the fields of the configs at `references` ("package.module:Class").

    Use it as `@app.command(cls=config_command("spanwise.rl.config:RLConfig"))`.
    """

    class ConfigCommand(TyperCommand):
        configs = references

        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = "\n\n".join(describe_config(_load(reference)) for reference in references)
            super().format_help(ctx, formatter)

    return ConfigCommand


def group_with_default(command: str, reference: str = "") -> type[TyperGroup]:
    """A group class that runs `command` where the first word is no command of the group.

    Its --help ends with the fields of the config at `reference`, which is the default command's; without a reference,
    the command is run without words too.
    """

    class DefaultGroup(TyperGroup):
        configs = tuple(filter(None, (reference,)))

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            known = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
            short = not known and (args or not reference)
            return super().parse_args(ctx, [command, *args] if short else args)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            self.epilog = describe_config(_load(reference)) if reference else None
            super().format_help(ctx, formatter)

    return DefaultGroup


def _all_rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    for key, kind, default, sentence in field_rows(model, prefix):
        yield key, re.sub(r"\b[a-z_][\w.]*\.(?=[A-Z])", "", kind), default, sentence  # Path, not pathlib.Path
    for section, inner in _named_sections(model, prefix):
        yield from _all_rows(inner, f"{section}.NAME.")


def _named_sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Sections that the user names, such as `sources: dict[str, SourceWeight]`, at any depth."""
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is dict:
            yield from ((f"{prefix}{name}", section) for section in _sections_in(field.annotation))
            continue
        for candidate in (field.annotation, *get_args(field.annotation)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield from _named_sections(candidate, f"{prefix}{name}.")


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """All classes of sections in a type, those of a union of kinds as well."""
    for part in get_args(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
        else:
            yield from _sections_in(part)


def _row(key: str, kind: str, default: str, sentence: str) -> str:
    shown = "required" if default == "required" else f"default {default or '(empty)'}"
    return f"  [bold cyan]{escape(key)}[/bold cyan] [dim]{escape(f'{kind}, {shown}')}[/dim]  {escape(sentence)}"


def _load(reference: str) -> type[BaseModel]:
    module, _, name = reference.partition(":")
    try:
        config_class = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("spanwise"):
            raise
        raise ConfigError(f"This command needs {error.name}; install it with: pip install 'spanwise[train]'") from error
    return cast("type[BaseModel]", config_class)


def layout_of(column: Sequence[str] | None, separator: str, sheet: str, *, empty_is_clean: bool) -> Layout:
    """How a table is to be read; raises ConfigError for what is no MEANING=COLUMN."""
    columns: dict[str, str] = {}
    for given in column or ():
        meaning, equals, name = given.partition("=")
        if not equals or meaning in columns:
            raise ConfigError(f"--column {given!r:.60}: write MEANING=COLUMN, each meaning once.")
        columns[meaning] = name
    return Layout(columns=columns, separator=separator, sheet=sheet, empty_is_clean=empty_is_clean)
