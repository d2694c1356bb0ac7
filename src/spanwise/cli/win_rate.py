"""`spanwise evaluate win-rate`: how often a model's answers are preferred to a reference's."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from spanwise.cli.config_help import AsJson, config_command, output_option
from spanwise.cli.render import bar, interval, show
from spanwise.cli.runner import check_distinct, on_device
from spanwise.core import ConfigError, check_readable, load_object, numpy_generator

if TYPE_CHECKING:
    from spanwise.evals.win_rate import JudgedOutputs, Outputs, StoredLengths, WinRateSummary
    from spanwise.evals.win_rate.judges import Judge, JudgeConfig
    from spanwise.feedback import PromptRecord

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
        output_option("Folder for annotations.json, leaderboard.csv and results.json for `spanwise report`."),
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
    check_distinct(outputs, reference)
    from spanwise.evals.win_rate import StoredLengths, summarise_file

    stored = StoredLengths(weights, difficulty, model)
    if annotations is not None:
        if any((reference, prompts, judge, export_pairs, output)):
            raise ConfigError("--annotations are judged already; leave out --reference, --prompts, --judge, --output.")
        summary = summarise_file(annotations, stored, seed=seed, resamples=resamples)
        show(summary.as_dict(), _lines(summary, {}), as_json=as_json)
        return
    if outputs is None or reference is None:
        raise ConfigError("--outputs needs --reference, the outputs to compare with.")
    files = _Files(outputs, reference, prompts)
    if export_pairs is not None:
        _export(files, export_pairs, as_json=as_json)
    elif judge is None:
        raise ConfigError("--outputs needs --judge CONFIG.yaml, who compares them.")
    else:
        summary, more = _judge(files, judge, stored, output, seed=seed, resamples=resamples)
        show({**summary.as_dict(), **more}, _lines(summary, more), as_json=as_json)


class _Files(NamedTuple):
    """A model's outputs, the reference's, and the prompts that both answer, where they are told."""

    outputs: Path
    reference: Path
    prompts: Path | None = None

    @property
    def words(self) -> str:
        """The options of the command."""
        prompts = "" if self.prompts is None else f" --prompts {self.prompts}"
        return f"--outputs {self.outputs} --reference {self.reference}{prompts}"

    def load(self) -> "tuple[Outputs, Outputs]":
        """What the files of outputs hold."""
        from spanwise.evals.win_rate import AskedPrompts, load_outputs

        prompts = None if self.prompts is None else AskedPrompts.load(self.prompts)
        return load_outputs(self.outputs, prompts), load_outputs(self.reference, prompts)

    def asked(self) -> "dict[str, PromptRecord]":
        """The prompts by instruction, none where they are not told."""
        from spanwise.evals.win_rate import AskedPrompts

        return {} if self.prompts is None else AskedPrompts.load(self.prompts).by_instruction


def _export(files: _Files, path: Path, *, as_json: bool) -> None:
    """Writes the pairs as records for people to compare."""
    from spanwise.evals.win_rate import cases_of
    from spanwise.evals.win_rate.judges import write_pairs

    written = write_pairs(path, cases_of(*files.load()), files.asked())
    what_next = "Compare them, then name the marked file in a judge's config: kind=people."
    show({"output": path, "pairs": written}, [f"Wrote {written:,} pairs to {path}. {what_next}"], as_json=as_json)


def _judge(
    files: _Files, judge: Path, stored: "StoredLengths", output: Path | None, *, seed: int, resamples: int
) -> "tuple[WinRateSummary, dict[str, Any]]":
    """Has the outputs compared, and writes what came of it where asked to."""
    from spanwise.evals.win_rate import against_reference, summarise_stored

    judged = _ask(files, judge)
    summary = summarise_stored(judged.judgements, stored, seed=seed, resamples=resamples)
    bias = None if judged.position is None or not judged.position.n else asdict(judged.position)
    more = {"position_bias": bias, "usage": asdict(judged.usage)}
    if output is not None:
        against_reference(
            summary,
            command=f"spanwise evaluate win-rate {files.words} --judge {judge}",
            seed=seed,
            resamples=max(resamples, 1),
            notes=_lines(summary, more),
            asked=files.asked(),
        ).save(output)
        _write_as_alpaca_eval(output, summary)
    return summary, more


def _ask(files: _Files, judge: Path) -> "JudgedOutputs":
    """Judges the pairs of both files as the config at `judge` says, with a bar while it lasts."""
    from spanwise.evals.win_rate import judge_outputs
    from spanwise.evals.win_rate.judges import JudgeConfig

    config = JudgeConfig.load(judge)
    outputs, reference = files.load()
    with bar() as progress:
        task = progress.add_task("judge")
        return judge_outputs(
            outputs,
            reference,
            _make_judge(config, files.asked()),
            generator=numpy_generator(config.seed, "position bias"),
            order=config.order,
            seed=config.seed,
            watch=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _make_judge(config: "JudgeConfig", asked: "Mapping[str, PromptRecord]") -> "Judge":
    """The judge; `asked` are the prompts by instruction, for judges that take prompt and passages apart."""
    from spanwise.evals.win_rate.judges import ChatJudge, PeopleJudge

    if config.kind == "chat":
        if config.endpoint.provider == "local":
            config = config.model_copy(update={"endpoint": on_device(config.endpoint)})
        return ChatJudge(config)
    if config.kind == "reward":
        return _reward_judge(on_device(config), asked)
    if config.class_ is not None:
        return load_object(config.class_, place="class")(**config.options)
    if config.kind == "oracle":
        from spanwise.quickstart import OracleJudge
        from spanwise.sim import make_items

        return OracleJudge(make_items(config.items, seed=config.seed, split=config.split))
    if config.pairs is None:
        raise ConfigError("kind=people needs pairs, a file of feedback records.")
    return PeopleJudge(config.pairs, asked)


def _reward_judge(config: "JudgeConfig", asked: "Mapping[str, PromptRecord]") -> "Judge":
    from spanwise.evals.win_rate.judges import RewardJudge
    from spanwise.rewards import load_sources

    sources = load_sources(config.model, heads=[config.head] if config.head else [], device=config.device)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise ConfigError(f"{config.model}: has the heads {names}; name one with head.")
    return RewardJudge(sources[0], asked)


def _write_as_alpaca_eval(folder: Path, summary: "WinRateSummary") -> None:
    """Writes annotations.json and the model's row of leaderboard.csv."""
    from spanwise.evals.win_rate import read_leaderboard, write_annotations, write_leaderboard

    write_annotations(folder / "annotations.json", summary.judged)
    board = folder / "leaderboard.csv"
    rows = dict(read_leaderboard(board)) if board.exists() else {}
    write_leaderboard(board, {**rows, summary.judged.model: summary.leaderboard_row()})


def _lines(summary: "WinRateSummary", more: dict[str, Any]) -> list[str]:
    """What a reader must know, most important first."""
    rate, length, judged = summary.rate, summary.length, summary.judged
    error = "" if rate.standard_error is None else f" ± {rate.standard_error:.2f}"
    basis = length.method + ("" if length.with_difficulty else ", without difficulties")
    told = [
        f"{judged.model or 'The model'} against {judged.reference or 'the reference'}: {rate.n:,} pairs decided "
        f"({rate.wins:,} won, {rate.draws:,} tied, {rate.losses:,} lost).",
        f"Win rate {rate.win_rate:.2f} %{error}{_interval(summary.low, summary.high)}.",
        f"Length-controlled {length.win_rate:.2f} %{_interval(length.low, length.high)} ({basis}).",
    ]
    told += [f"Unscored: {count:,} pairs, {reason}." for reason, count in judged.unscored.items()]
    told += [f"Joining by instruction: {count:,} {what}." for what, count in judged.mismatch.items()]
    if length.left_out:
        told.append(f"Without difficulty and outside length control: {length.left_out:,} pairs.")
    if summary.prompts_needed:
        told.append(f"To see a win rate 2 points off a fixed value takes about {summary.prompts_needed:,} prompts.")
    return [*told, *_judge_lines(more), *summary.notes]


def _judge_lines(more: dict[str, Any]) -> list[str]:
    told: list[str] = []
    if bias := more.get("position_bias"):
        ends = _interval(*(None if end is None else 100 * end for end in (bias["low"], bias["high"])))
        told.append(
            f"Position bias: the answer shown first is preferred {100 * bias['first_preferred']:.1f} % of the time"
            f"{ends}; both orders agree on {100 * bias['consistent']:.1f} % of {bias['n']:,} pairs."
        )
    if (usage := more.get("usage")) and usage["calls"]:
        told.append(
            f"Asked {usage['calls']:,} times: {usage['prompt_tokens']:,} tokens read, "
            f"{usage['completion_tokens']:,} written, cost {usage['cost']:.4f}."
        )
    return told


def _interval(low: float | None, high: float | None) -> str:
    ends = interval(low, high)
    return ends and f", {ends}"
