"""`spanwise reward train`, `evaluate` and `score`: reward models from feedback files, and what they say."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.render import quality_words, records_of
from spanwise.cli.reward_token import evaluate_tokens, score_file, train_tokens
from spanwise.cli.runner import on_device, say_device
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.reward_models import RewardModelConfig
    from spanwise.reward_models.fitting import HeadQuality, RewardModelRun

app = typer.Typer(help="Train reward models on feedback, and measure them.", no_args_is_help=True)

_CONFIG = "spanwise.reward_models.config:RewardModelConfig"
_TOKEN_CONFIG = "spanwise.reward_models.token_config:TokenRewardConfig"


@app.command(cls=config_command(_CONFIG, _TOKEN_CONFIG))
def train(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a reward model on marked spans, missing information and preferences, and calibrate it.

    With `kind: token` it gives one reward per token and learns from edit pairs, marked spans and word tags.
    """
    if _judges_tokens(config, overrides):
        train_tokens(config, overrides or [], as_json=as_json)
        return
    from spanwise.reward_models import RewardModelConfig

    settings = RewardModelConfig.load(config, overrides or [])
    if (settings.run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{settings.run_dir}: holds a run already; choose another run_dir or remove it.")
    check_readable(*settings.data, *settings.heldout)
    result = _train(on_device(settings))
    _print(result.heads, result.left_out, settings.run_dir / "checkpoints" / "best", as_json=as_json)


@app.command(cls=config_command(_CONFIG, _TOKEN_CONFIG))
def evaluate(
    config: ConfigPath,
    overrides: Overrides = None,
    *,
    transfer: Annotated[
        list[str] | None,
        typer.Option("--transfer", metavar="NAME=FILE", help="Another feedback file to measure on; several times."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML page to write, with reliability plots.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a reward model on the feedback files in `test`, beside the trivial answers it must beat.

    Also: what its scores go with besides quality (length, position), how its heads agree, and with --transfer how
    it does on other data. With `kind: token`: on the edit pairs in `heldout`.
    """
    if _judges_tokens(config, overrides):
        if transfer or output:
            raise ConfigError("--transfer and --output are for heads that judge segments and answers, not tokens.")
        evaluate_tokens(config, overrides or [], as_json=as_json)
        return
    from spanwise.cli.reward_evaluate import evaluate_segments

    evaluate_segments(config, overrides or [], transfer or [], output, as_json=as_json)


@app.command()
def score(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of a reward model.")],
    responses: Annotated[
        Path, typer.Argument(metavar="RESPONSES.jsonl", help="Lines with prompt, response and perhaps passages.")
    ],
    head: Annotated[str, typer.Option(help="The head to ask; empty asks all.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")] = "auto",
    *,
    as_json: AsJson = False,
) -> None:
    """Print a reward model's scores of responses: one per token or segment, in colours or as JSON lines."""
    check_readable(responses)
    score_file(checkpoint, responses, head=head, device=say_device(device), as_json=as_json)


def _judges_tokens(config: Path, overrides: list[str] | None) -> bool:
    from spanwise.reward_models import RewardKind

    return RewardKind.load(config, overrides or []).kind == "token"


def _train(settings: "RewardModelConfig") -> "RewardModelRun":
    from rich.console import Console
    from rich.progress import Progress

    from spanwise.core import RunFolder

    records = records_of(settings.data, field="data")
    heldout = records_of(settings.heldout, field="heldout") if settings.heldout else []
    from spanwise.reward_models.fitting import train_reward_model

    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as progress:
        return train_reward_model(settings, records, heldout, folder=RunFolder(settings.run_dir), progress=progress)


def _print(heads: "dict[str, HeadQuality]", left_out: dict[str, int], checkpoint: Path, *, as_json: bool) -> None:
    if as_json:
        metrics = {name: head.metrics for name, head in heads.items()}
        summary = {"checkpoint": str(checkpoint), "heads": metrics, "left_out": left_out}
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, head in heads.items():
        typer.echo(f"{name} ({head.density}): " + quality_words(head.metrics))
    for reason, count in left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    typer.echo(f"The reward model is {checkpoint}.")
