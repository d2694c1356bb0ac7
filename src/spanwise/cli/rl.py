"""`spanwise rl`: train a policy with rewards on parts of its answers."""

import json
import math
from typing import TYPE_CHECKING

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.core import check_readable

if TYPE_CHECKING:
    from spanwise.rl import RLConfig, TrainingResult

app = typer.Typer()


@app.command(name="rl", cls=config_command("spanwise.rl.config:RLConfig"))
def rl(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a policy by PPO with token-level rewards, and keep the checkpoint with the best held-out reward."""
    from spanwise.rl import RLConfig

    settings = RLConfig.load(config, overrides or [])
    check_readable(settings.prompts, settings.heldout)
    from spanwise.rl import train_policy
    from spanwise.rl.runtime import ConsoleProgress

    with ConsoleProgress(settings.steps) as progress:
        result = train_policy(settings, progress)
    if as_json:
        typer.echo(json.dumps(_summary(settings, result), indent=2))
        return
    typer.echo(
        f"Held-out reward {result.first_reward:.3f} before, {result.best_reward:.3f} at its best (step "
        f"{result.best_step}), {result.last_reward:.3f} after step {settings.steps}."
    )
    typer.echo(f"The best checkpoint is {settings.run_dir / 'checkpoints' / 'best'}.")


def _summary(settings: "RLConfig", result: "TrainingResult") -> dict[str, object]:
    checkpoints = settings.run_dir / "checkpoints"
    return {
        "run_dir": str(settings.run_dir),
        "best_checkpoint": str(checkpoints / "best"),
        "last_checkpoint": str(checkpoints / "last"),
        "best_step": result.best_step,
        "first_reward": _finite(result.first_reward),
        "best_reward": _finite(result.best_reward),
        "last_reward": _finite(result.last_reward),
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN, which a mean over no scored response is."""
    return value if math.isfinite(value) else None
