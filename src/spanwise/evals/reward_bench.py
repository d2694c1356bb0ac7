"""Reward models on benchmark files: does a source score the chosen answer above the rejected ones?

A case has a prompt, chosen and rejected answers and a subset. With one of each it is a pair, a tie counting half; with
several rejected ones (RewardBench 2's best of four) it is won where the chosen is highest, shared where it ties at the
top; with several chosen ones (its Ties) it is won where all of them are above all rejected ones. An answer that cannot
be scored leaves its case out, counted. Knows nothing of files (`reward_bench_files.py`) or of how rewards are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from spanwise.evals.estimate import Estimate
from spanwise.evals.judges.reward import total
from spanwise.evals.reward_bench_scores import SECTIONS, Margins, overall
from spanwise.evals.score_table import ScoreTable
from spanwise.evals.stats import estimate
from spanwise.scores import RewardSource, Sample, Unscored


@dataclass(frozen=True, slots=True)
class BenchCase:
    """One prompt with answers that people chose and answers that they rejected, one of each at least."""

    id: str
    prompt: str
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    subset: str = "all"
    name: str = ""
    """What the file calls the case, such as `tied:3`; empty where it does not."""


@dataclass(frozen=True)
class BenchAccuracy:
    """The share of cases that were won, with its interval over cases, and what longer-is-better would get."""

    accuracy: Estimate
    longer_wins: float
    ties: int
    """Cases that were neither won nor lost."""


@dataclass(frozen=True)
class BenchFindings:
    """One source on one file."""

    groups: dict[str, BenchAccuracy]
    """By subset, by RewardBench's sections where their subsets are there, and "all"."""
    score: float | None = None
    """What the benchmark's leaderboard would show; None where the file has not all of its subsets."""
    benchmark: str = ""
    """Which benchmark `score` is of."""


def bench_findings(
    source: RewardSource, cases: Sequence[BenchCase], *, generator: np.random.Generator
) -> BenchFindings:
    """Every case scored, by subset, section and in all."""
    samples = [Sample(case.prompt, text) for case in cases for text in (*case.chosen, *case.rejected)]
    totals = iter([total(scores) for scores in source.score(samples)])
    scored = {case.id: list(islice(totals, len(case.chosen) + len(case.rejected))) for case in cases}
    shares = {case.id: share(case, scored[case.id]) for case in cases}
    groups = {
        name: _accuracy([case for case in cases if case.subset in subsets], shares, generator)
        for name, subsets in _groups(cases).items()
    }
    known = [(case.subset, own) for case in cases if not isinstance(own := shares[case.id], Unscored)]
    found = overall({case.subset for case in cases}, known, _margins(cases, scored))
    return BenchFindings(groups) if found is None else BenchFindings(groups, found.score, found.benchmark)


def share(case: BenchCase, scores: Sequence[float | Unscored]) -> float | Unscored:
    """How far a case is won, from 0 to 1, by the scores of its chosen and then its rejected answers."""
    known = [value for value in scores if not isinstance(value, Unscored)]
    if len(known) < len(scores):
        return next(value for value in scores if isinstance(value, Unscored))
    chosen, rejected = known[: len(case.chosen)], known[len(case.chosen) :]
    if len(chosen) > 1:
        return float(min(chosen) > max(rejected))
    tied = rejected.count(chosen[0])
    return 1 / (1 + tied) if chosen[0] >= max(rejected) else 0.0


def _margins(cases: Sequence[BenchCase], scored: dict[str, list[float | Unscored]]) -> dict[str, Margins]:
    """What the score of Ties is made of, by the names of its cases."""
    found: dict[str, Margins] = {}
    for case in cases:
        known = [value for value in scored[case.id] if not isinstance(value, Unscored)]
        if case.name and len(known) == len(scored[case.id]):
            chosen, rejected = known[: len(case.chosen)], known[len(case.chosen) :]
            found[case.name] = Margins(min(chosen) - max(rejected), max(chosen) - min(chosen))
    return found


def _groups(cases: Sequence[BenchCase]) -> dict[str, set[str]]:
    subsets = list(dict.fromkeys(case.subset for case in cases))
    groups = {subset: {subset} for subset in subsets}
    sections = {name: {*own} & {*subsets} for name, own in SECTIONS.items()}
    groups |= {name: own for name, own in sections.items() if own}
    return {**groups, "all": set(subsets)}


def _accuracy(
    cases: Sequence[BenchCase], shares: dict[str, float | Unscored], generator: np.random.Generator
) -> BenchAccuracy:
    own = {case.id: shares[case.id] for case in cases}
    lengths = [share(case, [float(len(text)) for text in (*case.chosen, *case.rejected)]) for case in cases]
    return BenchAccuracy(
        estimate(ScoreTable.from_values(own), generator=generator),
        float(np.mean([value for value in lengths if not isinstance(value, Unscored)])),
        sum(not isinstance(value, Unscored) and 0 < value < 1 for value in own.values()),
    )
