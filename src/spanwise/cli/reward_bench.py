"""`spanwise evaluate reward-bench`: how often a reward model prefers what people chose."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson

if TYPE_CHECKING:
    from spanwise.evals.reward_bench import BenchAccuracy


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="reward-bench")(reward_bench)


def reward_bench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows with prompt, chosen, rejected and subset; JSON.")],
    reward_model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or Hub name of the reward model.")],
    *,
    device: Annotated[str, typer.Option(help="Where it runs.")] = "auto",
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Pair accuracy of every head by subset, beside what the rule "longer is better" would get."""
    from spanwise.evals.reward_bench import bench_accuracy, read_bench
    from spanwise.rewards.learned import load_sources
    from spanwise.seeding import numpy_generator

    pairs = read_bench(file)
    found = {
        source.name: bench_accuracy(source, pairs, generator=numpy_generator(seed, f"reward bench/{source.name}"))
        for source in load_sources(reward_model, device=device)
    }
    if as_json:
        typer.echo(json.dumps({name: _plain(groups) for name, groups in found.items()}, indent=2))
        return
    for name, groups in found.items():
        typer.echo(name)
        for group, own in groups.items():
            typer.echo("  " + _line(group, own))


def _plain(groups: "dict[str, BenchAccuracy]") -> dict[str, Any]:
    return {group: {**asdict(own), "accuracy": own.accuracy.model_dump(mode="json")} for group, own in groups.items()}


def _line(group: str, own: "BenchAccuracy") -> str:
    found = own.accuracy
    if found.mean is None:
        return f"{group}: nothing scored, {found.unscored} unscored"
    ends = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return (
        f"{group}: {found.mean:.3f}{ends} of {found.n} pairs, longer {own.longer_wins:.3f}, "
        f"{own.ties} ties, {found.unscored} unscored"
    )
