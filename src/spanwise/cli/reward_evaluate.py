"""Reward models judged: `spanwise reward evaluate` for segments and tokens, and `spanwise evaluate reward-bench`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, Device
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
    from spanwise.reward_models.fitting import evaluate_reward_model, seen_questions
    from spanwise.reward_models.network import load_reward_model
    from spanwise.rewards import LearnedRewards

    settings = on_device(settings)
    checkpoint = settings.checkpoint or settings.run_dir / "checkpoints" / "best"
    model, tokenizer = load_reward_model(checkpoint, prompt=settings.prompt)
    nn.Module.to(model, settings.device)
    if any(head.kind == "token" for head in model.config.head_specs):
        raise ConfigError(f"{checkpoint}: judges tokens; put kind: token into the config.")
    heads, left_out = evaluate_reward_model(settings, model, tokenizer, records)
    cases, means = collect_cases(settings, LearnedRewards(model, tokenizer), records)
    elsewhere = {name: evaluate_reward_model(settings, model, tokenizer, value)[0] for name, value in others.items()}
    findings = RewardFindings(
        checkpoint=str(checkpoint),
        quality=_qualities(heads),
        bias={name: head_bias(value) for name, value in cases.items()},
        agreement=agreement(means),
        transfer={name: _qualities(value) for name, value in elsewhere.items()},
        left_out=left_out,
        seen=seen_questions(checkpoint, (*settings.test, *_named(transfer).values())),
    )
    if output is not None:
        write_text(output, render_reward_page(findings))
    _print(findings, heads, left_out, as_json=as_json)


def evaluate_tokens(settings: "TokenRewardConfig", *, as_json: bool) -> None:
    """Measures a token-level reward model on the edit pairs in `heldout`."""
    from spanwise.cli.reward import pairs_of, print_tokens

    if not settings.heldout:
        raise ConfigError("heldout names no file; give edit pairs, for example heldout=[pairs.jsonl].")
    pairs = pairs_of(settings.heldout)
    from torch import nn

    from spanwise.reward_models.fitting import (
        TokenData,
        collect_rewards,
        seen_questions,
        token_examples,
        token_metrics,
    )
    from spanwise.reward_models.network import encoder_of, load_reward_model, pad_id_of

    settings = on_device(settings)
    checkpoint = settings.checkpoint or settings.run_dir / "checkpoints" / "best"
    model, tokenizer = load_reward_model(checkpoint, prompt=settings.prompt)
    nn.Module.to(model, settings.device)
    if [head.kind for head in model.config.head_specs] != ["token"]:
        raise ConfigError(f"{checkpoint}: judges segments, not tokens; leave kind out of the config.")
    data = TokenData(edits=pairs)
    examples, left_out = token_examples(settings, data, encoder_of(model, tokenizer))
    size = settings.fitting.batch_size
    metrics = token_metrics(collect_rewards(model, examples, batch_size=size, pad_id=pad_id_of(tokenizer)))
    seen = seen_questions(checkpoint, settings.heldout)
    print_tokens(checkpoint, metrics, left_out, seen, as_json=as_json)


def _named(pairs: Sequence[str]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for pair in pairs:
        name, separator, path = pair.partition("=")
        if not (name and separator and path) or name in paths:
            raise ConfigError(f"--transfer {pair!r}: write NAME=FILE, each name once.")
        paths[name] = Path(path)
    return paths


def _qualities(heads: "Mapping[str, HeadQuality]") -> "dict[str, RewardModelQuality]":
    from spanwise.evals.statistics import ReliabilityBin, RewardModelQuality

    return {
        name: RewardModelQuality(
            label=name,
            density=head.density,
            metrics={key: value if math.isfinite(value) else None for key, value in head.metrics.items()},
            reliability=tuple(ReliabilityBin.model_validate(bin_) for bin_ in head.reliability),
        )
        for name, head in heads.items()
    }


def _print(
    findings: "RewardFindings", heads: "Mapping[str, HeadQuality]", left_out: Mapping[str, int], *, as_json: bool
) -> None:
    if as_json:
        summary = {
            "checkpoint": findings.checkpoint,
            "heads": {name: head.metrics for name, head in heads.items()},
            "left_out": left_out,
            "seen": findings.seen,
            "bias": findings.bias,
            "agreement": findings.agreement,
            "transfer": {
                name: {head: quality.metrics for head, quality in qualities.items()}
                for name, qualities in findings.transfer.items()
            },
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, head in heads.items():
        typer.echo(f"{name} ({head.density}): " + quality_words(head.metrics))
        if findings.bias[name]:
            typer.echo("  " + _bias_words(findings.bias[name]))
    for pair, value in findings.agreement.items():
        typer.echo(f"agreement {pair}: {value:.3f}")
    for name, qualities in findings.transfer.items():
        for head, quality in qualities.items():
            known = {key: value for key, value in quality.metrics.items() if value is not None}
            typer.echo(f"on {name}, {head}: " + quality_words(known))
    for reason, count in left_out.items():
        typer.echo(f"left out  {reason}: {count}")
    for sentence in findings.seen:
        typer.echo(sentence)
    typer.echo(f"The reward model is {findings.checkpoint}.")


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
    device: Device = "auto",
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
    findings = {
        source.name: bench_findings(source, cases, generator=numpy_generator(seed, f"reward bench/{source.name}"))
        for source in load_sources(reward_model, device=device)
    }
    if as_json:
        typer.echo(
            json.dumps({name: _plain_bench(source_findings) for name, source_findings in findings.items()}, indent=2)
        )
        return
    for name, source_findings in findings.items():
        typer.echo(name)
        for group, accuracy in source_findings.groups.items():
            typer.echo("  " + _bench_line(group, accuracy))
        if source_findings.score is not None:
            typer.echo(f"  {source_findings.benchmark} score: {100 * source_findings.score:.1f}")


def _plain_bench(findings: "BenchFindings") -> dict[str, Any]:
    groups = {
        group: {**asdict(accuracy), "accuracy": accuracy.accuracy.model_dump(mode="json")}
        for group, accuracy in findings.groups.items()
    }
    return (
        groups
        if findings.score is None
        else {**groups, "leaderboard": {"benchmark": findings.benchmark, "score": findings.score}}
    )


def _bench_line(group: str, accuracy: "BenchAccuracy") -> str:
    estimate = accuracy.accuracy
    if estimate.mean is None:
        return f"{group}: nothing scored, {estimate.unscored} unscored"
    ends = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.3f}, {estimate.high:.3f}]"
    return (
        f"{group}: {estimate.mean:.3f}{ends} of {estimate.n} cases, longer {accuracy.longer_wins:.3f}, "
        f"{accuracy.ties} ties, {estimate.unscored} unscored"
    )
