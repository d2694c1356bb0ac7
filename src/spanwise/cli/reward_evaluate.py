"""Reward models judged: `spanwise reward evaluate` for segments and tokens, and `spanwise evaluate reward-bench`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson
from spanwise.cli.render import quality_words, records_of
from spanwise.cli.runner import on_device, say_device
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.evals.pages import RewardFindings
    from spanwise.evals.reward_models import BenchAccuracy, BenchFindings
    from spanwise.evals.statistics import RewardModelQuality
    from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
    from spanwise.reward_models.fitting import HeadQuality


def evaluate_segments(
    settings: "RewardModelConfig", transfer: Sequence[str], output: Path | None, *, as_json: bool
) -> None:
    """Measures on `test`, prints, and writes the page at `output`."""
    from spanwise.core import write_text

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


def evaluate_tokens(settings: "TokenRewardConfig", *, as_json: bool) -> None:
    """Measures a token-level reward model on the edit pairs in `heldout`."""
    from spanwise.cli.reward import pairs_of, print_tokens

    if not settings.heldout:
        raise ConfigError("heldout names no file; give edit pairs, for example heldout=[pairs.jsonl].")
    pairs = pairs_of(settings.heldout)
    from torch import nn

    from spanwise.reward_models.fitting import TokenData, collect_rewards, token_examples, token_metrics
    from spanwise.reward_models.network import encoder_of, load_reward_model, pad_id_of

    settings = on_device(settings)
    checkpoint = settings.checkpoint or settings.run_dir / "checkpoints" / "best"
    model, tokenizer = load_reward_model(checkpoint)
    nn.Module.to(model, settings.device)
    if [head.kind for head in model.config.head_specs] != ["token"]:
        raise ConfigError(f"{checkpoint}: judges segments, not tokens; leave kind out of the config.")
    data = TokenData(edits=pairs)
    examples, left_out = token_examples(settings, data, encoder_of(model, tokenizer))
    size = settings.fitting.batch_size
    metrics = token_metrics(collect_rewards(model, examples, batch_size=size, pad_id=pad_id_of(tokenizer)))
    print_tokens(checkpoint, metrics, left_out, as_json=as_json)


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


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="reward-bench")(reward_bench)


def reward_bench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows with prompt, chosen, rejected, perhaps subset.")],
    reward_model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or Hub name of the reward model.")],
    *,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.")] = "auto",
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Accuracy of every head by subset, beside what the rule "longer is better" would get.

    Answers are text or chat messages; with several rejected answers the chosen one must be above them all.
    """
    check_readable(file)
    from spanwise.core import numpy_generator
    from spanwise.evals.reward_models import bench_findings, read_bench
    from spanwise.rewards import load_sources

    device = say_device(device)
    cases = read_bench(file)
    found = {
        source.name: bench_findings(source, cases, generator=numpy_generator(seed, f"reward bench/{source.name}"))
        for source in load_sources(reward_model, device=device)
    }
    if as_json:
        typer.echo(json.dumps({name: _plain_bench(own) for name, own in found.items()}, indent=2))
        return
    for name, own in found.items():
        typer.echo(name)
        for group, accuracy in own.groups.items():
            typer.echo("  " + _bench_line(group, accuracy))
        if own.score is not None:
            typer.echo(f"  {own.benchmark} score: {100 * own.score:.1f}")


def _plain_bench(own: "BenchFindings") -> dict[str, Any]:
    groups = {
        group: {**asdict(found), "accuracy": found.accuracy.model_dump(mode="json")}
        for group, found in own.groups.items()
    }
    return groups if own.score is None else {**groups, "leaderboard": {"benchmark": own.benchmark, "score": own.score}}


def _bench_line(group: str, own: "BenchAccuracy") -> str:
    found = own.accuracy
    if found.mean is None:
        return f"{group}: nothing scored, {found.unscored} unscored"
    ends = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return (
        f"{group}: {found.mean:.3f}{ends} of {found.n} cases, longer {own.longer_wins:.3f}, "
        f"{own.ties} ties, {found.unscored} unscored"
    )
