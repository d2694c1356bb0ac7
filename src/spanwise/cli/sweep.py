"""`spanwise sweep`: one run per setting of the reward weights, and the trade-off of the rewards."""

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.core import check_readable

if TYPE_CHECKING:
    from spanwise.evals.runs import TradeOff
    from spanwise.evals.statistics import ExperimentResults
    from spanwise.rl.runtime import ProgressView
    from spanwise.sweeps import SettingRunner, SweepConfig

app = typer.Typer()


@app.command(name="sweep", cls=config_command("spanwise.sweeps.config:SweepConfig"))
def sweep(
    config: ConfigPath,
    overrides: Overrides = None,
    *,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Train nothing; join the runs that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one policy per setting of the reward weights, and draw what the settings trade off.

    Finished runs are skipped and a stopped one goes on; the page, the table and the JSON are made from the run
    folders alone.
    """
    from spanwise.sweeps import SweepConfig

    settings = SweepConfig.load(config, overrides or [])
    check_readable(settings.base)
    from spanwise.evals.pages import write_trade_off
    from spanwise.sweeps import collect, run_sweep

    if not only_report:
        run_sweep(settings, _runner(settings), say=lambda text: typer.echo(text, err=True))
    words = " ".join(["spanwise sweep", str(config), *(overrides or [])])
    results, plan = collect(settings, command=words)
    page = settings.run_dir / "sweep.html"
    write_trade_off(settings.run_dir, page)
    if as_json:
        typer.echo(json.dumps(_summary(settings, results, plan), indent=2, ensure_ascii=False))
        return
    _print_table(results, plan)
    typer.echo(f"The trade-off is drawn in {page}; `spanwise report {settings.run_dir}` shows the runs.")


def _runner(settings: "SweepConfig") -> "SettingRunner":
    from rich.console import Console

    from spanwise.rl.runtime import ConsoleProgress
    from spanwise.sweeps import RLSettings, SimSettings

    console = Console(stderr=True)

    def watch(steps: int) -> "AbstractContextManager[ProgressView]":
        return ConsoleProgress(steps, label="sweep", console=console)

    if settings.sim is None:
        return RLSettings(settings, watch)
    return SimSettings(settings, watch, say=lambda text: typer.echo(text, err=True))


def _summary(settings: "SweepConfig", results: "ExperimentResults", plan: "TradeOff") -> dict[str, Any]:
    """What `--json` prints: per setting its weights, estimates and whether it is on the front of each pair of axes."""
    from spanwise.evals.runs import front_rows

    fronts = {
        f"{x} / {y}": [row.arm for row in front_rows(results, plan.groups[0].arms, (x, y)) if row.on_front]
        for x, y in plan.axes
    }
    rows = {
        setting: {
            "weights": weights,
            "metrics": {name: own.model_dump(mode="json") for name, own in results.arms[setting].metrics.items()},
        }
        for setting, weights in settings.points().items()
    }
    return {"run_dir": str(settings.run_dir), "seeds": settings.seeds, "settings": rows, "fronts": fronts}


def _print_table(results: "ExperimentResults", plan: "TradeOff") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from spanwise.evals.pages import settings_table

    found = settings_table(results, plan)
    table = Table(plan.dial, box=box.SIMPLE)
    for row in found.rows:
        table.add_column(Text(row.title, overflow="fold"))
    for place, column in enumerate(found.columns):
        cells = [row.cells[place] for row in found.rows]
        texts = [" ".join(filter(None, [cell.text, cell.interval, cell.note])) for cell in cells]
        table.add_row(f"{column.title} ({column.unit})" if column.unit else column.title, *map(Text, texts))
    Console().print(table)
