"""`spanwise report`: one self-contained HTML page about runs and experiments."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(name="report")
def report_command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders, or experiment folders with results.json.", show_default=False
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a report of one or several runs: what improved, by how much, and where on the answers.

    The page needs nothing else: it can be sent to a colleague and opened without a network.
    """
    from spanwise.evals.report import write_report

    write_report(runs, output)
    size = output.stat().st_size
    if as_json:
        typer.echo(json.dumps({"output": str(output), "bytes": size, "runs": [str(run) for run in runs]}, indent=2))
    else:
        typer.echo(f"Wrote {output} ({size / 1e6:.1f} MB).")
