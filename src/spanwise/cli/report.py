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
    cards: Annotated[
        Path | None,
        typer.Option("--cards", help="Folder for a model card and a data card (of several runs: one folder each)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a report of one or several runs: what improved, by how much, and where on the answers.

    The page needs nothing else: it can be sent to a colleague and opened without a network. With --cards, what each
    run's folder says of its model and its data is written as cards in Markdown.
    """
    from spanwise.evals.runs import check_folder

    for run in runs:
        check_folder(run)
    from spanwise.evals.report import write_report

    write_report(runs, output)
    written = _write_cards(runs, cards) if cards else []
    size = output.stat().st_size
    if as_json:
        told = {"output": str(output), "bytes": size, "runs": list(map(str, runs)), "cards": list(map(str, written))}
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(f"Wrote {output} ({size / 1e6:.1f} MB).")
    for path in written:
        typer.echo(f"Wrote {path}.")


def _write_cards(runs: list[Path], folder: Path) -> list[Path]:
    from spanwise.evals.report import write_cards

    if len(runs) == 1:
        return write_cards(runs[0], folder)
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = ["-".join(run.resolve().parts[-2:]) for run in runs]
    return [path for run, name in zip(runs, names, strict=True) for path in write_cards(run, folder / name)]
