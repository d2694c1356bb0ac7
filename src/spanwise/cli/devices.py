"""The first line of every command that runs a model: on which device."""

from typing import Any, TypeVar

import typer

from spanwise.core import Config, device_line, resolve_device

ConfigT = TypeVar("ConfigT", bound=Config)


def say_device(asked: str) -> str:
    """The device that `asked` means here, which stderr is told: stdout is kept for results."""
    resolved = resolve_device(asked)
    typer.echo(device_line(asked, resolved), err=True)
    return resolved


def on_device(settings: ConfigT) -> ConfigT:
    """The same settings with their `device` resolved, which stderr is told."""
    values: Any = settings
    return settings.model_copy(update={"device": say_device(values.device)})
