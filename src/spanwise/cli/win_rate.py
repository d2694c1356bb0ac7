"""`spanwise evaluate win-rate`: how often a model's answers are preferred to a reference's."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, config_command
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.cli.judged_outputs import Files
    from spanwise.evals.win_rate import StoredLengths, WinRateSummary

File = Path | None


def add_to(group: typer.Typer) -> None:
    """Adds the command to the group `spanwise evaluate`."""
    group.command(name="win-rate", cls=config_command("spanwise.evals.win_rate.judges.config:JudgeConfig"))(win_rate)


def win_rate(
    *,
    annotations: Annotated[
        File, typer.Option(help="Judgements in AlpacaEval's annotation format, plain or gzipped.")
    ] = None,
    outputs: Annotated[
        File, typer.Option(help="Answers to be judged now: of `spanwise generate`, or AlpacaEval's model outputs.")
    ] = None,
    reference: Annotated[File, typer.Option(help="The reference's answers, joined by instruction.")] = None,
    prompts: Annotated[
        File, typer.Option(help="The prompts that generated answers were made from, so that judges see the passages.")
    ] = None,
    judge: Annotated[File, typer.Option(metavar="CONFIG.yaml", help="Who judges; its fields are below.")] = None,
    export_pairs: Annotated[
        File, typer.Option(help="Write the pairs as feedback records for people to compare, and stop.")
    ] = None,
    output: Annotated[
        File,
        typer.Option(
            "--output",
            "-o",
            help="Folder for annotations.json, leaderboard.csv and results.json for `spanwise report`.",
        ),
    ] = None,
    weights: Annotated[File, typer.Option(help="AlpacaEval's stored weights of length control (CSV).")] = None,
    difficulty: Annotated[
        File,
        typer.Option(help="Difficulties: annotations with glm_preference (needs --weights), or CSV with instructions."),
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name in --weights; else the file's or a folder's.")] = "",
    resamples: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0 gives no intervals.")] = 500,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Win rate, standard error and length-controlled win rate against a reference, in per cent.

    Of judgements that exist (--annotations), or of outputs that a judge compares now (--outputs, --reference, --judge).
    """
    if (annotations is None) == (outputs is None):
        raise ConfigError("win-rate needs either --annotations FILE, or --outputs FILE with --reference and --judge.")
    check_readable(annotations, outputs, reference, prompts, judge, weights, difficulty)
    from spanwise.evals.win_rate import StoredLengths, summarise_file

    stored = StoredLengths(weights, difficulty, model)
    if annotations is not None:
        if any((reference, prompts, judge, export_pairs, output)):
            raise ConfigError("--annotations are judged already; leave out --reference, --prompts, --judge, --output.")
        show(summarise_file(annotations, stored, seed=seed, resamples=resamples), as_json=as_json)
        return
    if outputs is None or reference is None:
        raise ConfigError("--outputs needs --reference, the outputs to compare with.")
    from spanwise.cli import judged_outputs

    files = judged_outputs.Files(outputs, reference, prompts)
    if export_pairs is not None:
        typer.echo(judged_outputs.export(files, export_pairs, as_json=as_json))
    elif judge is None:
        raise ConfigError("--outputs needs --judge CONFIG.yaml, who compares them.")
    else:
        summary, more = _judge(files, judge, stored, output, seed=seed, resamples=resamples)
        show(summary, more, as_json=as_json)


def _judge(
    files: "Files", judge: Path, stored: "StoredLengths", output: Path | None, *, seed: int, resamples: int
) -> tuple["WinRateSummary", dict[str, Any]]:
    """Has the outputs compared, and writes what came of it where asked to."""
    from spanwise.cli import judged_outputs
    from spanwise.evals.win_rate import against_reference, summarise_stored

    judged = judged_outputs.run(files, judge)
    summary = summarise_stored(judged.judgements, stored, seed=seed, resamples=resamples)
    more = judged_outputs.facts(judged)
    if output is not None:
        results = against_reference(
            summary,
            command=f"spanwise evaluate win-rate {files.words} --judge {judge}",
            seed=seed,
            resamples=max(resamples, 1),
            notes=lines(summary, more),
            asked=files.asked(),
        )
        judged_outputs.write(output, summary, results)
    return summary, more


def show(summary: "WinRateSummary", more: dict[str, Any] | None = None, *, as_json: bool) -> None:
    """Prints the summary, and `more` facts beside it, as JSON or in words."""
    if as_json:
        typer.echo(json.dumps({**summary.as_dict(), **(more or {})}, indent=2, ensure_ascii=False))
        return
    for line in lines(summary, more or {}):
        typer.echo(line)


def lines(summary: "WinRateSummary", more: dict[str, Any]) -> list[str]:
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
    return [*found, *_judge_lines(more), *summary.notes]


def _judge_lines(more: dict[str, Any]) -> list[str]:
    found: list[str] = []
    if bias := more.get("position_bias"):
        ends = _interval(*(None if end is None else 100 * end for end in (bias["low"], bias["high"])))
        found.append(
            f"Position bias: the answer shown first is preferred {100 * bias['first_preferred']:.1f} % of the time"
            f"{ends}; both orders agree on {100 * bias['consistent']:.1f} % of {bias['n']:,} pairs."
        )
    if (usage := more.get("usage")) and usage["calls"]:
        found.append(
            f"Asked {usage['calls']:,} times: {usage['prompt_tokens']:,} tokens read, "
            f"{usage['completion_tokens']:,} written, cost {usage['cost']:.4f}."
        )
    return found


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f", 95 % interval {low:.2f} to {high:.2f}"
