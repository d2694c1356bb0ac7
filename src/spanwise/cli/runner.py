"""How a command that takes a config runs: settings, then paths, then the device, then the work, then the result.

Nothing slow is imported before settings and paths are in order, so that a mistake is told within a second.
"""

import filecmp
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import typer

from spanwise.cli.render import show
from spanwise.core import Config, ConfigError, DataError, check_readable, device_line, resolve_device

if TYPE_CHECKING:
    from spanwise.evals.report import Table

ConfigT = TypeVar("ConfigT", bound=Config)


class Outcome(NamedTuple):
    """What a command says at its end: `summary` for --json, else a table with a title where there is one, and lines."""

    summary: dict[str, Any]
    lines: Sequence[str]
    scores: "Table | None" = None
    title: str = ""


def run_config(
    model: type[ConfigT],
    config: Path,
    overrides: Sequence[str] | None,
    work: Callable[[ConfigT], Outcome],
    *,
    inputs: Sequence[str] = (),
    fresh: bool = False,
    says_device: bool = True,
    as_json: bool,
) -> None:
    """Loads the settings, checks the files in the fields `inputs`, says the device, works, and prints the outcome.

    `fresh` refuses a run_dir that holds a run. Without `says_device` the work resolves and says its device itself.
    """
    settings = model.load(config, overrides or [])
    run_dir: Path | None = getattr(settings, "run_dir", None)
    if fresh and run_dir is not None and (run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{run_dir}: holds a run already; choose another run_dir or remove it.")
    check_readable(*(path for name in inputs for path in _paths(getattr(settings, name))))
    if says_device and "device" in model.model_fields:
        settings = on_device(settings)
    show(*work(settings), as_json=as_json)


def check_distinct(*paths: Path | None) -> None:
    """Raises DataError where two of the files or folders that are to be compared are one, or hold the same bytes."""
    given = [path for path in paths if path is not None]
    for position, path in enumerate(given):
        for other in given[:position]:
            if path.resolve() == other.resolve():
                raise DataError(f"{path}: compared with itself, which says nothing; name two different ones.")
            if path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False):
                raise DataError(f"{path}: the same, byte for byte, as {other}, so that a comparison says nothing.")


def command_line(command: str, config: Path, overrides: Sequence[str] | None) -> str:
    """The words that call the command, which its results keep."""
    return " ".join([command, str(config), *(overrides or [])])


def say_device(asked: str) -> str:
    """The device that `asked` means here, which stderr is told: stdout is kept for results."""
    resolved = resolve_device(asked)
    typer.echo(device_line(asked, resolved), err=True)
    return resolved


def on_device(settings: ConfigT) -> ConfigT:
    """The same settings with their `device` resolved, which stderr is told."""
    values: Any = settings
    return settings.model_copy(update={"device": say_device(values.device)})


def _paths(value: Path | Sequence[Path] | None) -> Iterator[Path | None]:
    if value is None or isinstance(value, Path):
        yield value
    else:
        yield from value
