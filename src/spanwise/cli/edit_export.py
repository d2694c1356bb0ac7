"""`spanwise edits export`: edit pairs as demonstrations, as preferences, or as pairs in our own format."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spanwise.cli.config_help import AsJson
from spanwise.cli.feedback_tables import print_problems
from spanwise.core import DataError
from spanwise.feedback import EditPair, Record, write_records
from spanwise.feedback.formats import EditFormat, Exported, demonstrations_of, preferences_of, read_edits


class ExportKind(StrEnum):
    """What edit pairs can be written as."""

    DEMONSTRATIONS = "demonstrations"
    PREFERENCES = "preferences"
    PAIRS = "pairs"


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of edits; .gz is read as well.")],
    *,
    to: Annotated[
        ExportKind,
        typer.Option(help="demonstrations: edited answers, for spanwise sft. preferences: TRL's columns. pairs: ours."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSONL file to write.")],
    form: Annotated[EditFormat, typer.Option("--format", help="The format of the file.")] = EditFormat.PAIRS,
    as_json: AsJson = False,
) -> None:
    """Write edits as other trainers read them; what cannot be used is counted.

    Records that cannot be read are listed on standard error and make the exit code 2.
    """
    result = read_edits(file, form)
    found = _exported(result.records, to)
    if not found.records:
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.left_out.items()) or "there is none"
        raise DataError(f"{file}: no pair can be written as {to.value}: {reasons}.")
    write_records(output, found.records)
    if as_json:
        summary = {"file": str(output), "records": len(found.records), "left_out": found.left_out}
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{output}: {len(found.records):,} {to.value}.")
        for reason, count in found.left_out.items():
            typer.echo(f"left out  {reason}: {count:,}")
    if result.problems:
        print_problems(Console(stderr=True), result.problems)
        raise typer.Exit(2)


def _exported(pairs: list[EditPair], to: ExportKind) -> Exported[Record]:
    if to is ExportKind.PAIRS:
        return Exported[Record](list[Record](pairs), {})
    found = demonstrations_of(pairs) if to is ExportKind.DEMONSTRATIONS else preferences_of(pairs)
    return Exported[Record](list[Record](found.records), found.left_out)
