"""`spanwise evaluate reward-bench`: how often a reward model prefers what people chose."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson
from spanwise.cli.runner import say_device
from spanwise.core import check_readable

if TYPE_CHECKING:
    from spanwise.evals.reward_models import BenchAccuracy, BenchFindings


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
        typer.echo(json.dumps({name: _plain(own) for name, own in found.items()}, indent=2))
        return
    for name, own in found.items():
        typer.echo(name)
        for group, accuracy in own.groups.items():
            typer.echo("  " + _line(group, accuracy))
        if own.score is not None:
            typer.echo(f"  {own.benchmark} score: {100 * own.score:.1f}")


def _plain(own: "BenchFindings") -> dict[str, Any]:
    groups = {
        group: {**asdict(found), "accuracy": found.accuracy.model_dump(mode="json")}
        for group, found in own.groups.items()
    }
    return groups if own.score is None else {**groups, "leaderboard": {"benchmark": own.benchmark, "score": own.score}}


def _line(group: str, own: "BenchAccuracy") -> str:
    found = own.accuracy
    if found.mean is None:
        return f"{group}: nothing scored, {found.unscored} unscored"
    ends = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return (
        f"{group}: {found.mean:.3f}{ends} of {found.n} cases, longer {own.longer_wins:.3f}, "
        f"{own.ties} ties, {found.unscored} unscored"
    )
