"""`spanwise dpo`: direct training on edit pairs, without rewards."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.devices import on_device
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.training import DPOResult, DPORunConfig

app = typer.Typer()


@app.command(name="dpo", cls=config_command("spanwise.training.config:DPORunConfig"))
def dpo(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a language model on edit pairs by DPO with a positive term, or by weighted likelihood of the edits."""
    from spanwise.training import DPORunConfig

    settings = DPORunConfig.load(config, overrides or [])
    check_readable(settings.pairs, settings.heldout)
    result = _run(on_device(settings))
    if as_json:
        summary = {
            "checkpoint": str(result.checkpoint),
            "step": result.step,
            "heldout": result.heldout,
            "left_out": result.left_out,
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    found = result.heldout
    typer.echo(
        f"Best after step {result.step}: held-out loss {found['loss']:.4f}, accuracy {found['accuracy']:.3f}, "
        f"log-ratio of the edits {found['edited_logratio']:+.3f}, of the originals {found['original_logratio']:+.3f}."
    )
    for reason, count in result.left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    typer.echo(f"The checkpoint is {result.checkpoint}.")


def _run(settings: "DPORunConfig") -> "DPOResult":
    from rich.console import Console
    from rich.progress import Progress

    from spanwise.core import RunFolder
    from spanwise.feedback import EditPair, load_or_raise

    if (settings.run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{settings.run_dir}: holds a run already; choose another run_dir or remove it.")
    pairs = load_or_raise(settings.pairs, EditPair)
    heldout = load_or_raise(settings.heldout, EditPair)
    from spanwise.models import Policy
    from spanwise.training import train_dpo

    policy = Policy.load(settings.policy, device=settings.device)
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        steps = settings.epochs * -(-len(pairs) // settings.batch_size)
        task = bar.add_task("dpo", total=steps)

        def watch(step: int, metrics: Mapping[str, float]) -> None:
            bar.update(task, completed=step, description=f"dpo  loss {metrics['dpo/loss']:.3f}")

        return train_dpo(policy, pairs, heldout, config=settings, run=RunFolder(settings.run_dir), watch=watch)
