"""`spanwise evaluate win-rate`: how often a model's answers are preferred to a reference's."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spanwise.cli.config_help import AsJson
from spanwise.errors import ConfigError

if TYPE_CHECKING:
    from spanwise.evals.win_rate_summary import WinRateSummary

File = Path | None


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="win-rate")(win_rate)


def win_rate(
    *,
    annotations: Annotated[
        File, typer.Option(help="Judgements in AlpacaEval's annotation format, plain or gzipped.")
    ] = None,
    weights: Annotated[File, typer.Option(help="AlpacaEval's stored weights of length control (CSV).")] = None,
    difficulty: Annotated[
        File,
        typer.Option(help="Difficulties: annotations with glm_preference (needs --weights), or CSV with instructions."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The model's name in --weights; without it the file's, or a folder's.")
    ] = "",
    resamples: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0 gives no intervals.")] = 500,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Win rate, standard error and length-controlled win rate against a reference, in per cent."""
    from spanwise.evals.win_rate_summary import summarise_file

    if annotations is None:
        raise ConfigError("win-rate needs --annotations FILE.")
    summary = summarise_file(
        annotations, weights=weights, difficulty=difficulty, model=model, seed=seed, resamples=resamples
    )
    show(summary, as_json=as_json)


def show(summary: "WinRateSummary", *, as_json: bool) -> None:
    """Prints the summary as JSON or in words."""
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), indent=2, ensure_ascii=False))
        return
    for line in lines(summary):
        typer.echo(line)


def lines(summary: "WinRateSummary") -> list[str]:
    """What a reader must know, most important first."""
    rate, length, judged = summary.rate, summary.length, summary.judged
    error = "" if rate.standard_error is None else f" ± {rate.standard_error:.2f}"
    basis = length.method + ("" if length.with_difficulty else ", without difficulties")
    found = [
        f"{judged.model or 'The model'} against {judged.reference or 'the reference'}: {rate.n:,} pairs decided "
        f"({rate.wins:,} won, {rate.draws:,} tied, {rate.losses:,} lost).",
        f"Win rate {rate.win_rate:.2f} %{error}{_interval(summary.low, summary.high)}.",
        f"Length-controlled {length.win_rate:.2f} %{_interval(length.low, length.high)} ({basis}).",
    ]
    found += [f"Unscored: {count:,} pairs, {reason}." for reason, count in judged.unscored.items()]
    found += [f"Joining by instruction: {count:,} {what}." for what, count in judged.mismatch.items()]
    if length.left_out:
        found.append(f"Without difficulty and outside length control: {length.left_out:,} pairs.")
    if summary.prompts_needed:
        found.append(f"To see a win rate 2 points off a fixed value takes about {summary.prompts_needed:,} prompts.")
    return [*found, *summary.notes]


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f", 95 % interval {low:.2f} to {high:.2f}"
