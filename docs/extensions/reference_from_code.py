"""Writes the reference from the code as Sphinx reads a page: commands, settings, metrics, formats and names.

A page asks for a part by a line `<!-- generated: NAME -->`, one of PARTS, or `<!-- generated: room spanwise.rl -->`. No
file is written, so no page can fall behind the code.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from docstrings import as_rst
from pydantic import BaseModel
from rich.text import Text

from spanwise.cli import app as command_line
from spanwise.cli.config_help import config_rows
from spanwise.evals.metrics import TEXT_METRICS, BertScoreMetric, PerplexityMetric
from spanwise.evals.statistics import MetricInfo
from spanwise.feedback.formats import FORMATS
from spanwise.quickstart import SIM_METRICS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ASKED = re.compile(r"^<!-- generated: ([\w.]+)(?: ([\w.]+))? -->$", flags=re.MULTILINE)


# Commands and settings


def commands() -> str:
    """Every command with its arguments and options, one heading each."""
    return "\n\n".join(f"## spanwise {path}\n\n{_command(path, command)}" for path, command in _all_commands())


def settings() -> str:
    """Every field of every command's config: key, type, default, sentence."""
    readers: dict[str, list[str]] = {}
    for path, command in _all_commands():
        for reference in getattr(command, "configs", ()):
            readers.setdefault(reference, []).append(f"`spanwise {path}`")
    parts = []
    for reference, commands_of_it in readers.items():
        rows = [_setting(*row) for row in config_rows(reference)]
        parts += [f"## {reference.partition(':')[2]}\n\nRead by {', '.join(commands_of_it)}.", *rows]
    return "\n\n".join(parts)


def _all_commands(path: str = "", command: Any = None) -> Iterator[tuple[str, Any]]:
    group = command or typer.main.get_command(command_line)
    for name in group.commands:
        inner, words = group.commands[name], f"{path} {name}".strip()
        if getattr(inner, "hidden", False):
            continue
        if hasattr(inner, "commands"):
            if hasattr(inner, "configs"):
                yield words, inner
            yield from _all_commands(words, inner)
        else:
            yield words, inner


def _command(path: str, command: Any) -> str:
    context = command.context_class(command, info_name=f"spanwise {path}")
    usage = " ".join([f"spanwise {path}", *command.collect_usage_pieces(context)])
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    help_text = _plain(command.help or "").strip()
    rows = [
        f"`{names.strip()}`\n: {_cell(_plain(text)) or 'Set it.'}" for names, text in records if "--help" not in names
    ]
    fields = " Its fields: [settings](settings.md)." if getattr(command, "configs", ()) else ""
    return "\n\n".join([f"```text\n{usage}\n```", help_text + fields, *rows])


def _plain(text: str) -> str:
    """Help without the markup of rich."""
    return Text.from_markup(text).plain.replace("<", "\\<")


def _setting(key: str, kind: str, default: str, sentence: str) -> str:
    shown = "required" if default == "required" else f"default `{default or '(empty)'}`"
    return f"`{key}` · `{kind}` · {shown}\n: {_cell(sentence)}"


# Tables


def formats() -> str:
    """Every format of the registry: what it is, what it holds, who reads and writes it."""
    rows = [
        (
            f"`{row.name}`" + "".join(f", `{other}`" for other in row.also),
            row.sentence,
            ", ".join(row.holds),
            _yes(row.read or row.read_pairs),
            _yes(row.write or row.export_pairs),
            row.cannot_keep or "",
        )
        for row in FORMATS.values()
    ]
    return table(("name", "what it is", "holds", "read", "written", "what its writer cannot keep"), rows)


def metrics() -> str:
    """Every metric of answers with its unit and direction."""
    of_models = {**BertScoreMetric.infos, **PerplexityMetric.infos}
    parts = [
        ("## Of texts", TEXT_METRICS),
        ("## Of texts, by a model", of_models),
        ("## Of the simulated world", SIM_METRICS),
    ]
    return "\n\n".join(f"{head}\n\n{_metric_table(infos)}" for head, infos in parts)


def _metric_table(infos: Mapping[str, MetricInfo]) -> str:
    rows = [
        (f"`{key}`", info.label, info.unit or "", info.better or "", info.description) for key, info in infos.items()
    ]
    return table(("key", "name", "unit", "better", "what it is"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    names = tuple(head)
    lines = [names, ("---",) * len(names), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!`)<", r"\\<", " ".join(text.split())).replace("|", r"\|")


def _yes(value: object) -> str:
    return "yes" if value else ""


# Names of rooms


def room(name: str) -> str:
    """What a room says of itself and all that its door offers, then its inner rooms.

    A name that the door hands on from another room is described there; here it has a link.
    """
    module = importlib.import_module(name)
    folder = Path(module.__file__ or "").parent
    origins = _origins(folder / "__init__.pyi", name)
    homes = {key: _home(key, origin, name) for key, origin in origins.items()}
    entries = [line for key, origin in origins.items() if homes[key] == name for line in _entry(name, key, origin)]
    about = as_rst((inspect.getdoc(module) or "").splitlines())
    text = "\n".join(["```{eval-rst}", *about, *_summary(homes), *entries, "```"])
    inner = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    if name == "spanwise":
        return f"{text}\n\n## Rooms\n\n{_rooms(inner)}"
    return "\n\n".join([text, *(f"## {name}.{part}\n\n{room(f'{name}.{part}')}" for part in inner)])


def _summary(homes: Mapping[str, str]) -> list[str]:
    names = [f"   ~{home}.{key}" for key, home in homes.items()]
    return [".. autosummary::", "   :nosignatures:", "", *names, ""] if names else []


def _rooms(names: Iterable[str]) -> str:
    first = {
        name: (inspect.getdoc(importlib.import_module(f"spanwise.{name}")) or "").partition("\n\n")[0] for name in names
    }
    rows = [
        (f"[spanwise.{name}]({name}.md)" if name != "cli" else "[spanwise.cli](../commands.md)", text)
        for name, text in first.items()
    ]
    return table(("room", "what it is for"), rows)


def _home(name: str, origin: str, door: str) -> str:
    """The room that describes a name: the one it comes from, where that offers it, else the one whose door this is."""
    if hasattr(importlib.import_module(origin), "__path__"):
        return origin
    room_of_file = origin.rpartition(".")[0]
    return room_of_file if name in getattr(importlib.import_module(room_of_file), "__all__", ()) else door


def _origins(stub: Path, room_name: str) -> dict[str, str]:
    """Each name of a room's stub with the module that it comes from; a room of rooms alone has no stub."""
    return {
        alias.name: f"{room_name}.{node.module}"
        for node in ast.parse(stub.read_text() if stub.exists() else "").body
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }


def _entry(room_name: str, name: str, origin: str) -> list[str]:
    value = getattr(importlib.import_module(room_name), name)
    if inspect.isclass(value):
        fields = ["   :no-members:", "", *_fields(value)] if issubclass(value, BaseModel) else []
        return [f".. autoclass:: {room_name}.{name}", *fields, ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {room_name}.{name}", ""]
    comment = _comment(origin, name)
    said = as_rst(comment) if comment else [_choices(value)]
    return [f".. py:data:: {room_name}.{name}", "", *(f"   {line}" for line in said), ""]


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields of a config or record with their defaults and sentences; those of a section stand at its class."""
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f" = {field.get_default(call_default_factory=True)!r}"
        section = isinstance(field.default, BaseModel)
        yield f"   ``{name}{f' = {type(field.default).__name__}()' if section else default}``"
        yield from (f"      {line}" for line in as_rst((field.description or "").splitlines()))


def _choices(value: object) -> str:
    """What a Literal may be."""
    words = [f"``{word}``" for word in get_args(value) if isinstance(word, str)]
    return f"One of {', '.join(words)}." if words else ""


def _comment(module: str, name: str) -> list[str]:
    """The string below a constant, in the file that it comes from."""
    from sphinx.pycode import ModuleAnalyzer  # noqa: PLC0415 - the tables are made without Sphinx in tests

    documented = ModuleAnalyzer.for_module(module).find_attr_docs()
    return documented.get(("", name), [])


PARTS: dict[str, Callable[..., str]] = {
    "commands": commands,
    "settings": settings,
    "formats": formats,
    "metrics": metrics,
    "room": room,
}


# Sphinx


def setup(app: "Sphinx") -> dict[str, Any]:
    """Fills the pages, and hands docstrings on as reStructuredText."""
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _rewrite, priority=400)
    app.connect("autodoc-process-signature", _shorten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _fill(_: "Sphinx", __: str, source: list[str]) -> None:
    source[0] = ASKED.sub(lambda asked: PARTS[asked[1]](*filter(None, [asked[2]])), source[0])


def _rewrite(_: "Sphinx", __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def _shorten(_: "Sphinx", what: str, __: str, value: Any, ___: Any, *signature: str | None) -> tuple[str | None, ...]:
    """Configs and records have more fields than a signature can hold."""
    if what == "class" and issubclass(value, BaseModel):
        return "", None
    return signature
