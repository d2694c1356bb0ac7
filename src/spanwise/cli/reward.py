"""`spanwise reward`: reward models from feedback files, what they say, and how much each should count."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Device, Overrides, config_command
from spanwise.cli.render import bounds, quality_words, records_of
from spanwise.cli.runner import Outcome, on_device, run_config, say_device
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from rich.progress import Progress

    from spanwise.feedback import EditPair, Sample
    from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
    from spanwise.reward_models.fitting import HeadQuality, RewardModelRun
    from spanwise.rewards import WeightsConfig

app = typer.Typer(help="Train reward models on feedback, and measure them.", no_args_is_help=True)

_CONFIG = "spanwise.reward_models.config:RewardModelConfig"
_TOKEN_CONFIG = "spanwise.reward_models.config:TokenRewardConfig"


@app.command(cls=config_command(_CONFIG, _TOKEN_CONFIG))
def train(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Train a reward model on marked spans, missing information and preferences, and calibrate it.

    With `kind: token` it gives one reward per token and learns from edit pairs, marked spans and word tags.
    """
    from spanwise.reward_models import RewardModelConfig, load_reward_config

    settings = load_reward_config(config, overrides or [])
    if (settings.run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{settings.run_dir}: holds a run already; choose another run_dir or remove it.")
    checkpoint = settings.run_dir / "checkpoints" / "best"
    if isinstance(settings, RewardModelConfig):
        check_readable(*settings.data, *settings.heldout)
        result = _train_segments(on_device(settings))
        _keep_seen(settings.run_dir, (*settings.data, *settings.heldout))
        _print(result.heads, result.left_out, checkpoint, as_json=as_json)
    else:
        check_readable(*settings.edits, *settings.spans, *settings.tags, *settings.heldout, *settings.reference)
        result = _train_tokens(on_device(settings))
        _keep_seen(settings.run_dir, (*settings.edits, *settings.spans, *settings.tags))
        print_tokens(checkpoint, result.metrics[settings.name], result.left_out, as_json=as_json)


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
    from spanwise.cli.reward_evaluate import evaluate_segments, evaluate_tokens
    from spanwise.reward_models import RewardModelConfig, load_reward_config

    settings = load_reward_config(config, overrides or [])
    if isinstance(settings, RewardModelConfig):
        evaluate_segments(settings, transfer or [], output, as_json=as_json)
        return
    if transfer or output:
        raise ConfigError("--transfer and --output are for heads that judge segments and answers, not tokens.")
    evaluate_tokens(settings, as_json=as_json)


@app.command()
def score(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Folder of a reward model.")],
    responses: Annotated[
        Path, typer.Argument(metavar="RESPONSES.jsonl", help="Lines with prompt, response and perhaps passages.")
    ],
    head: Annotated[str, typer.Option(help="The head to ask; empty asks all.")] = "",
    device: Device = "auto",
    *,
    every_turn: Annotated[
        bool, typer.Option("--every-turn", help="Score all turns of the assistant in a conversation, not the last.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a reward model's scores of responses: one per token or segment, in colours or as JSON lines."""
    check_readable(responses)
    device = say_device(device)
    samples = _samples(responses, every_turn=every_turn)
    from spanwise.feedback import scores_of
    from spanwise.rewards import load_sources

    sources = load_sources(checkpoint, heads=[head] if head else [], device=device)
    scored = {source.name: scores_of(source, samples) for source in sources}
    for index, sample in enumerate(samples):
        by_source = {name: scores[index] for name, scores in scored.items()}
        if as_json:
            plain = {name: _plain(scores, sample) for name, scores in by_source.items()}
            typer.echo(json.dumps({"prompt": sample.prompt, "scores": plain}, ensure_ascii=False))
        else:
            for name, scores in by_source.items():
                _show(name, scores, sample)


@app.command(cls=config_command("spanwise.rewards.config:WeightsConfig"))
def weights(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Learn how much each source of a mixture should count, from which of two answers people preferred."""
    from spanwise.rewards import WeightsConfig

    run_config(WeightsConfig, config, overrides, _learnt_weights, inputs=("data",), as_json=as_json)


def _learnt_weights(settings: "WeightsConfig") -> Outcome:
    from spanwise.reward_models.fitting import weights_of_preferences
    from spanwise.rewards import configured_sources

    records = records_of(settings.data, field="data")
    learnt = weights_of_preferences(
        configured_sources(settings, device=settings.device),
        records,
        settings.mixture.sources,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    lines = [
        f"{name}: {one.weight:.4g}{bounds(one.low, one.high)}{'' if one.tells else '  not told from 0'}"
        for name, one in learnt.weights.items()
    ]
    agreement = f"agrees with {learnt.agreement:.1%} of {learnt.items:,} pairs, out of fold"
    return Outcome(asdict(learnt), [*lines, f"{agreement}; equal weights with {learnt.agreement_of_equal:.1%}."])


def _train_segments(settings: "RewardModelConfig") -> "RewardModelRun":
    from spanwise.core import RunFolder

    records = records_of(settings.data, field="data")
    heldout = records_of(settings.heldout, field="heldout") if settings.heldout else []
    from spanwise.reward_models.fitting import train_reward_model

    with _progress() as progress:
        return train_reward_model(settings, records, heldout, folder=RunFolder(settings.run_dir), progress=progress)


def _train_tokens(settings: "TokenRewardConfig") -> "RewardModelRun":
    from spanwise.core import RunFolder
    from spanwise.feedback import FeedbackRecord, load_or_raise

    if not (settings.edits or settings.spans or settings.tags):
        raise ConfigError("edits, spans and tags name no file; give at least one, for example edits=[pairs.jsonl].")
    marked = [record for path in settings.spans for record in load_or_raise(path, FeedbackRecord)]
    edits, tags, heldout = pairs_of(settings.edits), pairs_of(settings.tags), pairs_of(settings.heldout)
    reference = [record for path in settings.reference for record in load_or_raise(path, FeedbackRecord)]
    from spanwise.reward_models.fitting import TokenData, train_token_model

    with _progress() as progress:
        return train_token_model(
            settings,
            TokenData(edits, marked, tags),
            heldout=TokenData(edits=heldout) if settings.heldout else None,
            reference=reference,
            folder=RunFolder(settings.run_dir),
            progress=progress,
        )


def _keep_seen(run_dir: Path, files: tuple[Path, ...]) -> None:
    from spanwise.reward_models.fitting import keep_seen

    keep_seen(run_dir, files)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal)


def pairs_of(paths: tuple[Path, ...]) -> "list[EditPair]":
    """The edit pairs of several files."""
    from spanwise.feedback import EditPair, load_or_raise

    return [pair for path in paths for pair in load_or_raise(path, EditPair)]


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


def print_tokens(
    checkpoint: Path,
    metrics: dict[str, float],
    left_out: dict[str, int],
    seen: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """What a model of token rewards reaches, and which of the files it is measured on it has `seen`."""
    if as_json:
        summary = {"checkpoint": str(checkpoint), "metrics": metrics, "left_out": left_out, "seen": list(seen)}
        typer.echo(json.dumps(summary, indent=2))
        return
    for sentence in seen:
        typer.echo(sentence)
    for name, value in metrics.items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    for reason, count in left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    typer.echo(f"The reward model is {checkpoint}.")


def _samples(path: Path, *, every_turn: bool) -> "list[Sample]":
    from spanwise.feedback import Sample, load_or_raise, turn_samples
    from spanwise.reward_models import ResponseRecord

    records = load_or_raise(path, ResponseRecord)
    if every_turn:
        return [sample for record in records for sample in turn_samples(record, record.response)]
    return [Sample.of(record, record.response, truncated=record.truncated) for record in records]


def _plain(scores: Any, sample: "Sample") -> Any:
    from spanwise.feedback import Unscored

    if scores.missing is not None:
        return {"unscored": scores.missing.reason}
    return [
        {
            "start": score.span.start,
            "end": score.span.end,
            "text": score.span.of(sample.response),
            **({"unscored": score.value.reason} if isinstance(score.value, Unscored) else {"value": score.value}),
        }
        for score in scores.scores
    ]


def _show(name: str, scores: Any, sample: "Sample") -> None:
    """One response in colours: red below 0, green above, the stronger the further; white text has no score.

    Where colours cannot be shown, the number stands behind each token.
    """
    from rich.console import Console
    from rich.text import Text

    from spanwise.feedback import Unscored

    if scores.missing is not None:
        Console().print(Text(f"{name}: not scored, {scores.missing.reason}"))
        return
    console = Console()
    known = [score for score in scores.scores if not isinstance(score.value, Unscored)]
    colours = console.color_system is not None
    text = Text(sample.response if colours else _numbered(sample.response, known))
    for score in known:
        if not len(score.span):
            text.append(f" [end {score.value:+.2f}]", style="dim")
        elif colours:
            text.stylize(_colour(score.value), score.span.start, score.span.end)
    console.print(Text(f"{name}: ").append(text), soft_wrap=True)


def _numbered(response: str, scores: Any) -> str:
    """The response with each score behind what it is of; from the end on, so that places stay."""
    for score in sorted(scores, key=lambda scored: scored.span.end, reverse=True):
        if len(score.span):
            response = f"{response[: score.span.end]}[{score.value:+.2f}]{response[score.span.end :]}"
    return response


def _colour(value: float) -> str:
    strength = round(60 + 140 * min(1.0, abs(value) / 2))
    return f"white on rgb({strength},0,0)" if value < 0 else f"white on rgb(0,{strength},0)"
