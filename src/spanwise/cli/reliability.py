"""`spanwise feedback reliability`: how far to trust each annotator, and one soft-labelled record an item."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from spanwise.cli.config_help import AsJson, output_option
from spanwise.cli.render import count, left_out, plain_table, print_json, records_of, visible
from spanwise.cli.runner import check_distinct
from spanwise.core import ConfigError
from spanwise.feedback import write_records
from spanwise.feedback.crowds import CrowdMethod, Reliability, weigh_annotators

if TYPE_CHECKING:
    from rich.table import Table


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise feedback`."""
    group.command(name="reliability")(reliability)


def reliability(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Feedback of several annotators on the same responses.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path | None, output_option("Feedback file to write: one record an item, with soft labels to train on.")
    ] = None,
    density: Annotated[str, typer.Option(help="The segments on which marks are judged.")] = "sub-sentence",
    method: Annotated[
        str,
        typer.Option(help=f"How votes are weighed: {', '.join(get_args(CrowdMethod))} (crowd-kit's the last three)."),
    ] = "dawid-skene",
    item_cost: Annotated[
        float, typer.Option(min=0, help="What a new item costs beside its annotations, in annotations.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show how reliable each annotator is, by category, and make soft labels of what all of them say.

    Needs responses that at least two people judged, each in a record of their own. Informedness is 1 for who is always
    right and 0 for who marks without looking; the warnings name the people whose work to look at.
    """
    if output is not None:
        check_distinct(*files, output)
    found = weigh_annotators(
        records_of(files, field="FILE"), density=density, method=_method(method), item_cost=item_cost
    )
    if output is not None:
        write_records(output, found.consensus)
    if as_json:
        print_json({**found.as_dict(), "output": output})
        return
    _print(found)
    if output is not None:
        for line in left_out(found.left_out):
            typer.echo(line, err=True)
        typer.echo(f"Wrote {count(len(found.consensus), 'record')} with soft labels to {output}.")


def _method(name: str) -> CrowdMethod:
    for method in get_args(CrowdMethod):
        if method == name:
            return method
    raise ConfigError(f"--method is one of {', '.join(get_args(CrowdMethod))}, not {name!r:.40}.")


def _print(found: Reliability) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    console.print(f"{count(found.items, 'item')}, {found.overlapping:,} of them judged by several; {found.method}.")
    for table in (_people(found), _worth(found)):
        console.print(Padding(table, (1, 0, 0, 0)))
    for warning in found.warnings:
        console.print(Padding(Text.assemble(("! ", "bold yellow"), visible(warning)), (1, 0, 0, 0)))


def _people(found: Reliability) -> "Table":
    table = plain_table(
        "category", "annotator", "judged", "marked", "found", "spared", "informedness", "drift", left=2,
        title="Annotators",
    )  # fmt: skip
    for category in found.categories:
        for position, row in enumerate(category.annotators):
            table.add_row(
                visible(category.category) if not position else "", visible(row.annotator), f"{row.judged:,}",
                f"{row.said:.1%}", f"{row.sensitivity:.2f}", f"{row.specificity:.2f}",
                f"{row.informedness:.2f} [{row.low:.2f}, {row.high:.2f}]", f"{row.drift:+.2f}",
            )  # fmt: skip
    return table


def _worth(found: Reliability) -> "Table":
    table = plain_table("category", "annotations", "told", "wrong", "", title="What more annotations of an item tell")
    for category in found.categories:
        for row in category.worth:
            table.add_row(
                visible(category.category) if row.annotations == 1 else "", str(row.annotations), f"{row.told:.0%}",
                f"{row.wrong:.1%}", "best for its cost" if row.annotations == category.best else "",
            )  # fmt: skip
    return table
