"""The help text of a command shows each field of its config."""

import typer
from typer.testing import CliRunner

from spanwise.cli.config_help import config_command, describe_config
from spanwise.core.config import Config


class _Inner(Config):
    rate: float = 0.25
    """How fast."""


class _Outer(Config):
    names: list[str]
    """Whom [to] name."""
    inner: _Inner = _Inner()
    path: str
    """Where from."""
    by_name: dict[str, _Inner] = {}  # noqa: RUF012 -- pydantic copies defaults
    """Many of them."""


def test_every_field_is_described_with_default_and_sentence():
    text = describe_config(_Outer)
    for piece in ("names", "inner.rate", "default 0.25", "How fast.", "required", "Where from.", "by_name.NAME.rate"):
        assert piece in text


def test_help_of_a_command_ends_with_its_fields_and_keeps_brackets(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("spanwise.cli.config_help._load", lambda reference: _Outer)
    app = typer.Typer()

    @app.command(cls=config_command("any.module:Outer"))
    def run(config: str) -> None:
        """Runs."""

    output = CliRunner().invoke(app, ["--help"]).output
    assert "list[str]" in output
    assert "Whom [to] name." in output
    assert "inner.rate" in output
