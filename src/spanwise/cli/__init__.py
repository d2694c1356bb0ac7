"""The `spanwise` command: one typer app made of one file per group of commands."""

from spanwise.cli.app import app, main

__all__ = ["app", "main"]
