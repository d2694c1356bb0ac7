"""`spanwise reward evaluate` for heads that judge segments and whole answers: quality, bias, agreement, transfer."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spanwise.cli.render import quality_words, records_of
from spanwise.cli.runner import on_device
from spanwise.core import ConfigError

if TYPE_CHECKING:
    from spanwise.evals.pages import RewardFindings
    from spanwise.evals.statistics import RewardModelQuality
    from spanwise.reward_models.fitting import HeadQuality


def evaluate_segments(
    config: Path, overrides: Sequence[str], transfer: Sequence[str], output: Path | None, *, as_json: bool
) -> None:
    """Measures on `test`, prints, and writes the page at `output`."""
    from spanwise.core import write_text
    from spanwise.reward_models import RewardModelConfig

    settings = RewardModelConfig.load(config, overrides)
    records = records_of(settings.test, field="test")
    others = {name: records_of((path,), field=f"--transfer {name}") for name, path in _named(transfer).items()}
    from torch import nn

    from spanwise.evals.pages import RewardFindings, render_reward_page
    from spanwise.evals.reward_models import agreement, collect_cases, head_bias
    from spanwise.reward_models.fitting import evaluate_reward_model
    from spanwise.reward_models.network import load_reward_model
    from spanwise.rewards import LearnedRewards

    settings = on_device(settings)
    checkpoint = settings.checkpoint or settings.run_dir / "checkpoints" / "best"
    model, tokenizer = load_reward_model(checkpoint)
    nn.Module.to(model, settings.device)
    if any(head.kind == "token" for head in model.config.head_specs):
        raise ConfigError(f"{checkpoint}: judges tokens; put kind: token into the config.")
    heads, left_out = evaluate_reward_model(settings, model, tokenizer, records)
    cases, means = collect_cases(settings, LearnedRewards(model, tokenizer), records)
    elsewhere = {name: evaluate_reward_model(settings, model, tokenizer, own)[0] for name, own in others.items()}
    found = RewardFindings(
        checkpoint=str(checkpoint),
        quality=_qualities(heads),
        bias={name: head_bias(own) for name, own in cases.items()},
        agreement=agreement(means),
        transfer={name: _qualities(own) for name, own in elsewhere.items()},
        left_out=left_out,
    )
    if output is not None:
        write_text(output, render_reward_page(found))
    _print(found, heads, left_out, as_json=as_json)


def _named(pairs: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for pair in pairs:
        name, separator, path = pair.partition("=")
        if not (name and separator and path) or name in found:
            raise ConfigError(f"--transfer {pair!r}: write NAME=FILE, each name once.")
        found[name] = Path(path)
    return found


def _qualities(heads: "Mapping[str, HeadQuality]") -> "dict[str, RewardModelQuality]":
    from spanwise.evals.statistics import ReliabilityBin, RewardModelQuality

    return {
        name: RewardModelQuality(
            label=name,
            density=head.density,
            metrics={key: value if math.isfinite(value) else None for key, value in head.metrics.items()},
            reliability=tuple(ReliabilityBin.model_validate(one) for one in head.reliability),
        )
        for name, head in heads.items()
    }


def _print(
    found: "RewardFindings", heads: "Mapping[str, HeadQuality]", left_out: Mapping[str, int], *, as_json: bool
) -> None:
    if as_json:
        summary = {
            "checkpoint": found.checkpoint,
            "heads": {name: head.metrics for name, head in heads.items()},
            "left_out": left_out,
            "bias": found.bias,
            "agreement": found.agreement,
            "transfer": {
                name: {head: quality.metrics for head, quality in own.items()} for name, own in found.transfer.items()
            },
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, head in heads.items():
        typer.echo(f"{name} ({head.density}): " + quality_words(head.metrics))
        if found.bias[name]:
            typer.echo("  " + _bias_words(found.bias[name]))
    for pair, value in found.agreement.items():
        typer.echo(f"agreement {pair}: {value:.3f}")
    for name, own in found.transfer.items():
        for head, quality in own.items():
            known = {key: value for key, value in quality.metrics.items() if value is not None}
            typer.echo(f"on {name}, {head}: " + quality_words(known))
    for reason, count in left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    typer.echo(f"The reward model is {found.checkpoint}.")


def _bias_words(bias: Mapping[str, float]) -> str:
    from spanwise.evals.pages import BIAS_LABELS

    return ", ".join(f"{BIAS_LABELS[name].lower()} {value:.3f}" for name, value in bias.items())
