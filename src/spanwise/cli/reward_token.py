"""The half of `spanwise reward` that is about rewards of tokens: training, measuring, and showing them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spanwise.cli.runner import on_device
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.feedback import Sample
    from spanwise.reward_models import TokenRewardConfig
    from spanwise.reward_models.fitting import TokenRewardRun


def train_tokens(config: Path, overrides: list[str], *, as_json: bool) -> None:
    """Trains the model that a config with `kind: token` describes, and says what it reached."""
    from spanwise.reward_models import TokenRewardConfig

    settings = TokenRewardConfig.load(config, overrides)
    if (settings.run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{settings.run_dir}: holds a run already; choose another run_dir or remove it.")
    check_readable(*settings.edits, *settings.spans, *settings.tags, *settings.heldout, *settings.reference)
    result = _train(on_device(settings))
    _print(settings.run_dir / "checkpoints" / "best", result.metrics, result.left_out, as_json=as_json)


def evaluate_tokens(config: Path, overrides: list[str], *, as_json: bool) -> None:
    """Measures a token-level reward model on the edit pairs in `heldout`."""
    from spanwise.reward_models import TokenRewardConfig

    settings = TokenRewardConfig.load(config, overrides)
    if not settings.heldout:
        raise ConfigError("heldout names no file; give edit pairs, for example heldout=[pairs.jsonl].")
    pairs = _pairs(settings.heldout)
    from torch import nn

    from spanwise.reward_models.fitting import TokenData, collect_rewards, token_metrics
    from spanwise.reward_models.fitting.token_train import prepare
    from spanwise.reward_models.network import encoder_of, load_reward_model, pad_id_of

    settings = on_device(settings)
    checkpoint = settings.checkpoint or settings.run_dir / "checkpoints" / "best"
    model, tokenizer = load_reward_model(checkpoint)
    nn.Module.to(model, settings.device)
    if [head.kind for head in model.config.head_specs] != ["token"]:
        raise ConfigError(f"{checkpoint}: judges segments, not tokens; leave kind out of the config.")
    data = TokenData(edits=pairs)
    examples, left_out = prepare(settings, data, encoder_of(model, tokenizer))
    size = settings.fitting.batch_size
    metrics = token_metrics(collect_rewards(model, examples, batch_size=size, pad_id=pad_id_of(tokenizer)))
    _print(checkpoint, metrics, left_out, as_json=as_json)


def score_file(checkpoint: Path, path: Path, *, head: str, device: str, as_json: bool) -> None:
    """Prints what each head (or `head`) of a reward model says about the responses of a JSONL file."""
    samples = _samples(path)
    from spanwise.rewards import load_sources

    sources = load_sources(checkpoint, heads=[head] if head else [], device=device)
    scored = {source.name: source.score(samples) for source in sources}
    for place, sample in enumerate(samples):
        by_source = {name: scores[place] for name, scores in scored.items()}
        if as_json:
            plain = {name: _plain(scores, sample) for name, scores in by_source.items()}
            typer.echo(json.dumps({"prompt": sample.prompt, "scores": plain}, ensure_ascii=False))
        else:
            for name, scores in by_source.items():
                _show(name, scores, sample)


def _train(settings: "TokenRewardConfig") -> "TokenRewardRun":
    from rich.console import Console
    from rich.progress import Progress

    from spanwise.core import RunFolder
    from spanwise.feedback import FeedbackRecord, load_or_raise

    if not (settings.edits or settings.spans or settings.tags):
        raise ConfigError("edits, spans and tags name no file; give at least one, for example edits=[pairs.jsonl].")
    marked = [record for path in settings.spans for record in load_or_raise(path, FeedbackRecord)]
    edits, tags, heldout = _pairs(settings.edits), _pairs(settings.tags), _pairs(settings.heldout)
    reference = [record for path in settings.reference for record in load_or_raise(path, FeedbackRecord)]
    from spanwise.reward_models.fitting import TokenData, train_token_model

    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as progress:
        return train_token_model(
            settings,
            TokenData(edits, marked, tags),
            heldout=TokenData(edits=heldout) if settings.heldout else None,
            reference=reference,
            folder=RunFolder(settings.run_dir),
            progress=progress,
        )


def _pairs(paths: tuple[Path, ...]) -> list[Any]:
    from spanwise.feedback import EditPair, load_or_raise

    return [pair for path in paths for pair in load_or_raise(path, EditPair)]


def _print(checkpoint: Path, metrics: dict[str, float], left_out: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"checkpoint": str(checkpoint), "metrics": metrics, "left_out": left_out}, indent=2))
        return
    for name, value in metrics.items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    for reason, count in left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    typer.echo(f"The reward model is {checkpoint}.")


def _samples(path: Path) -> "list[Sample]":
    from spanwise.feedback import Sample, load_or_raise
    from spanwise.reward_models import ResponseRecord

    records = load_or_raise(path, ResponseRecord)
    return [Sample(one.prompt, one.response, one.passages, truncated=one.truncated) for one in records]


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
    for score in sorted(scores, key=lambda one: one.span.end, reverse=True):
        if len(score.span):
            response = f"{response[: score.span.end]}[{score.value:+.2f}]{response[score.span.end :]}"
    return response


def _colour(value: float) -> str:
    strength = round(60 + 140 * min(1.0, abs(value) / 2))
    return f"white on rgb({strength},0,0)" if value < 0 else f"white on rgb(0,{strength},0)"
