"""`spanwise rl`: train a policy with rewards on parts of its answers."""

import json
import math
from typing import TYPE_CHECKING

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.errors import ConfigError

if TYPE_CHECKING:
    from spanwise.rewards.pipeline import RewardPipeline
    from spanwise.rl.config import RLConfig
    from spanwise.rl.trainer import TrainingResult

app = typer.Typer()


@app.command(name="rl", cls=config_command("spanwise.rl.config:RLConfig"))
def rl(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a policy by PPO with token-level rewards, and keep the checkpoint with the best held-out reward."""
    from spanwise.rl.config import RLConfig

    settings = RLConfig.load(config, overrides or [])
    result = _run(settings)
    if as_json:
        typer.echo(json.dumps(_summary(settings, result), indent=2))
        return
    typer.echo(
        f"Held-out reward {result.first_reward:.3f} before, {result.best_reward:.3f} at its best (step "
        f"{result.best_step}), {result.last_reward:.3f} after step {settings.steps}."
    )
    typer.echo(f"The best checkpoint is {settings.run_dir / 'checkpoints' / 'best'}.")


def _run(settings: "RLConfig") -> "TrainingResult":
    from spanwise.feedback.jsonl import load_or_raise
    from spanwise.feedback.prompts import PromptRecord
    from spanwise.models.policy import Policy
    from spanwise.rl.algorithms import make_algorithm
    from spanwise.rl.progress import ConsoleProgress
    from spanwise.rl.resume import check_same_settings, holds_run
    from spanwise.rl.trainer import Trainer, TrainerParts
    from spanwise.tracking import RunFolder

    if holds_run(settings.run_dir):
        if settings.resume == "never":
            raise ConfigError(f"{settings.run_dir}: holds a run already; set resume=auto, or choose another run_dir.")
        check_same_settings(settings.run_dir, settings)
    parts = TrainerParts(
        prompts=load_or_raise(settings.prompts, PromptRecord),
        heldout=load_or_raise(settings.heldout_prompts, PromptRecord),
        policy=Policy.load(settings.policy, device=settings.device),
        pipeline=_pipeline(settings),
        algorithm=make_algorithm(settings),
    )
    with ConsoleProgress(settings.steps) as progress:
        return Trainer(settings, parts, RunFolder(settings.run_dir), progress=progress).run(resume=True)


def _pipeline(settings: "RLConfig") -> "RewardPipeline":
    from spanwise.rewards.learned import load_sources
    from spanwise.rewards.pipeline import RewardPipeline

    sources = [
        source
        for use in settings.reward_models.values()
        for source in load_sources(
            use.checkpoint, heads=use.heads, hard=use.hard, batch_size=use.batch_size, device=settings.device
        )
    ]
    return RewardPipeline(sources, settings.mixture, settings.placement)


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
