"""`spanwise sweep`: one run per setting of the reward weights, and the trade-off of the rewards."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.runner import Outcome, command_line, run_config

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

    words = command_line("spanwise sweep", config, overrides)

    def work(settings: SweepConfig) -> Outcome:
        return _sweep(settings, words, train=not only_report)

    run_config(SweepConfig, config, overrides, work, inputs=("base",), as_json=as_json)


def _sweep(settings: "SweepConfig", words: str, *, train: bool) -> Outcome:
    from spanwise.evals.pages import settings_table, write_trade_off
    from spanwise.sweeps import collect, run_sweep

    if train:
        run_sweep(settings, _runner(settings), say=_say)
    results, plan = collect(settings, command=words)
    page = settings.run_dir / "sweep.html"
    write_trade_off(settings.run_dir, page)
    return Outcome(
        _summary(settings, results, plan),
        [f"The trade-off is drawn in {page}; `spanwise report {settings.run_dir}` shows the runs."],
        settings_table(results, plan),
        plan.dial,
    )


def _runner(settings: "SweepConfig") -> "SettingRunner":
    from rich.console import Console

    from spanwise.rl.runtime import ConsoleProgress
    from spanwise.sweeps import RLSettings, SimSettings

    console = Console(stderr=True)

    def watch(steps: int) -> "AbstractContextManager[ProgressView]":
        return ConsoleProgress(steps, label="sweep", console=console)

    return RLSettings(settings, watch) if settings.sim is None else SimSettings(settings, watch, say=_say)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _summary(settings: "SweepConfig", results: "ExperimentResults", plan: "TradeOff") -> dict[str, Any]:
    """What `--json` prints: per setting its weights, estimates and whether it is on the front of each pair of axes."""
    from spanwise.evals.runs import front_rows

    fronts = {
        f"{x} / {y}": [row.arm for row in front_rows(results, plan.groups[0].arms, (x, y)) if row.on_front]
        for x, y in plan.axes
    }
    rows = {
        setting: {"weights": weights, "metrics": results.arms[setting].model_dump(mode="json")["metrics"]}
        for setting, weights in settings.points().items()
    }
    return {"run_dir": settings.run_dir, "seeds": settings.seeds, "settings": rows, "fronts": fronts}
