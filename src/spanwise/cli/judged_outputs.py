"""Outputs before a judge, for `spanwise evaluate win-rate`: files in, judgements out, a bar while it lasts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spanwise.cli.judges import build_judge
from spanwise.core import numpy_generator
from spanwise.evals.win_rate import (
    AskedPrompts,
    JudgedOutputs,
    Outputs,
    cases_of,
    judge_outputs,
    load_outputs,
    read_leaderboard,
    write_annotations,
    write_leaderboard,
)
from spanwise.evals.win_rate.judges import JudgeConfig, write_pairs
from spanwise.feedback import PromptRecord

if TYPE_CHECKING:
    from spanwise.evals.statistics import ExperimentResults
    from spanwise.evals.win_rate import WinRateSummary


class Files(NamedTuple):
    """A model's outputs, the reference's, and the prompts that both answer, where they are told."""

    outputs: Path
    reference: Path
    prompts: Path | None = None

    @property
    def words(self) -> str:
        """The options of the command."""
        prompts = "" if self.prompts is None else f" --prompts {self.prompts}"
        return f"--outputs {self.outputs} --reference {self.reference}{prompts}"

    def load(self) -> tuple[Outputs, Outputs]:
        """What the files of outputs hold."""
        prompts = None if self.prompts is None else AskedPrompts.load(self.prompts)
        return load_outputs(self.outputs, prompts), load_outputs(self.reference, prompts)

    def asked(self) -> dict[str, PromptRecord]:
        """The prompts by instruction, none where they are not told."""
        return {} if self.prompts is None else AskedPrompts.load(self.prompts).by_instruction


def run(files: Files, judge: Path) -> JudgedOutputs:
    """Judges the pairs of both files as the config at `judge` says."""
    from rich.console import Console
    from rich.progress import Progress

    config = JudgeConfig.load(judge)
    own, other = files.load()
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("judge")
        return judge_outputs(
            own,
            other,
            build_judge(config, files.asked()),
            generator=numpy_generator(config.seed, "position bias"),
            order=config.order,
            seed=config.seed,
            watch=lambda done, total: bar.update(task, completed=done, total=total),
        )


def export(files: Files, path: Path, *, as_json: bool) -> str:
    """Writes the pairs as records for people to compare; returns what to print."""
    written = write_pairs(path, cases_of(*files.load()), files.asked())
    if as_json:
        return json.dumps({"output": str(path), "pairs": written}, indent=2)
    return (
        f"Wrote {written:,} pairs to {path}. Compare them, then name the marked file in a judge's config: kind=people."
    )


def write(folder: Path, summary: "WinRateSummary", results: "ExperimentResults") -> None:
    """Writes annotations.json and the model's row of leaderboard.csv as AlpacaEval has them, and results.json."""
    results.save(folder)
    write_annotations(folder / "annotations.json", summary.judged)
    board = folder / "leaderboard.csv"
    rows = dict(read_leaderboard(board)) if board.exists() else {}
    write_leaderboard(board, {**rows, summary.judged.model: summary.leaderboard_row()})


def facts(judged: JudgedOutputs) -> dict[str, Any]:
    """What is known of the judging itself."""
    bias = None if judged.position is None or not judged.position.n else asdict(judged.position)
    return {"position_bias": bias, "usage": asdict(judged.usage)}
