"""RewardBench-style files: does a reward source score the chosen answer above the rejected one?

One row has a prompt, a chosen and a rejected answer and a subset; JSON list or JSON lines, gzipped or not. A tie counts
half. An answer that cannot be scored leaves its pair out, counted. Knows nothing of how rewards are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spanwise.errors import DataError
from spanwise.evals.alpaca_files import read_rows
from spanwise.evals.estimate import Estimate
from spanwise.evals.judges.reward import total
from spanwise.evals.score_table import ScoreTable
from spanwise.evals.stats import estimate
from spanwise.scores import RewardSource, Sample, Unscored

SECTIONS = {
    "chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
    "chat hard": (
        "mt-bench-hard", "llmbar-natural", "llmbar-adver-neighbor", "llmbar-adver-GPTInst", "llmbar-adver-GPTOut",
        "llmbar-adver-manual",
    ),
    "safety": (
        "refusals-dangerous", "refusals-offensive", "xstest-should-refuse", "xstest-should-respond", "donotanswer",
    ),
    "reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
}  # fmt: skip
"""RewardBench's sections and their subsets."""


@dataclass(frozen=True, slots=True)
class BenchPair:
    """One prompt with an answer that people chose and one that they rejected."""

    id: str
    prompt: str
    chosen: str
    rejected: str
    subset: str = "all"


@dataclass(frozen=True)
class BenchAccuracy:
    """The share of pairs in the right order, with its interval over pairs, and what longer-is-better would get."""

    accuracy: Estimate
    longer_wins: float
    ties: int


def read_bench(path: Path) -> list[BenchPair]:
    """The pairs of a file; raises DataError that names the row without prompt, chosen or rejected."""
    rows = read_rows(path, ("prompt", "chosen", "rejected"))
    pairs = [
        BenchPair(str(number), row["prompt"], row["chosen"], row["rejected"], str(row.get("subset") or "all"))
        for number, row in enumerate(rows, start=1)
    ]
    same = [pair.id for pair in pairs if pair.chosen == pair.rejected]
    if same:
        raise DataError(f"{path}: row {same[0]}: chosen and rejected are one text ({len(same)} such); drop the pair.")
    return pairs


def bench_accuracy(
    source: RewardSource, pairs: Sequence[BenchPair], *, generator: np.random.Generator
) -> dict[str, BenchAccuracy]:
    """The accuracy by subset, by section where all subsets are known, and of "all" pairs."""
    samples = [Sample(pair.prompt, text) for pair in pairs for text in (pair.chosen, pair.rejected)]
    totals = [total(scores) for scores in source.score(samples)]
    shares = {pair.id: _share(totals[2 * place], totals[2 * place + 1]) for place, pair in enumerate(pairs)}
    return {
        name: _accuracy([pair for pair in pairs if pair.subset in subsets], shares, generator)
        for name, subsets in _groups(pairs).items()
    }


def _groups(pairs: Sequence[BenchPair]) -> dict[str, set[str]]:
    subsets = list(dict.fromkeys(pair.subset for pair in pairs))
    groups = {subset: {subset} for subset in subsets}
    sections = {name: {*own} & {*subsets} for name, own in SECTIONS.items()}
    groups |= {name: own for name, own in sections.items() if own}
    return {**groups, "all": set(subsets)}


def _accuracy(
    pairs: Sequence[BenchPair], shares: dict[str, float | Unscored], generator: np.random.Generator
) -> BenchAccuracy:
    own = {pair.id: shares[pair.id] for pair in pairs}
    longer = [_share(float(len(pair.chosen)), float(len(pair.rejected))) for pair in pairs]
    return BenchAccuracy(
        estimate(ScoreTable.from_values(own), generator=generator),
        float(np.mean([share for share in longer if not isinstance(share, Unscored)])),
        sum(share == 0.5 for share in own.values()),
    )


def _share(chosen: float | Unscored, rejected: float | Unscored) -> float | Unscored:
    for value in (chosen, rejected):
        if isinstance(value, Unscored):
            return value
    return 0.5 if chosen == rejected else float(chosen > rejected)  # type: ignore[operator] - neither is Unscored here
