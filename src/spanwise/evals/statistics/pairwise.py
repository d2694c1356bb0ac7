"""Judged pairs: for each instruction which of two answers is better, the reference's or the model's.

A share says how far the model's answer was preferred: 1 wholly, 0 not at all, 0.5 a tie. What no judge decided is
`Unscored` with its reason and is in no mean. Knows nothing of files (`alpaca_files.py`) or of judges (`judges/`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from spanwise.core import DataError
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.feedback import Unscored

Share = float | Unscored
"""How far the model's answer was preferred, from 0 to 1, or why that is not known."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """One instruction with both answers and the judgement."""

    instruction: str
    reference: str
    answer: str
    share: Share


@dataclass(frozen=True)
class Judgements:
    """All pairs of one model against one reference, one per instruction."""

    pairs: tuple[JudgedPair, ...]
    model: str = ""
    reference: str = ""
    judge: str = ""
    mismatch: Mapping[str, int] = field(default_factory=dict[str, int])
    """What did not fit when the files were joined by instruction, and how often."""

    @property
    def scored(self) -> Bool[np.ndarray, " p"]:
        """True where the judge decided."""
        return np.array([not isinstance(pair.share, Unscored) for pair in self.pairs], dtype=np.bool_)

    @property
    def shares(self) -> Float[np.ndarray, " p"]:
        """The shares, NaN where there is none."""
        return np.array([np.nan if isinstance(pair.share, Unscored) else pair.share for pair in self.pairs])

    @property
    def unscored(self) -> dict[str, int]:
        """How many pairs have no share, by reason."""
        return dict(Counter(pair.share.reason for pair in self.pairs if isinstance(pair.share, Unscored)))

    def table(self) -> ScoreTable:
        """The shares by instruction, for paired tests and intervals."""
        return ScoreTable.from_values({pair.instruction: pair.share for pair in self.pairs})


def joined(pairs: Sequence[JudgedPair]) -> tuple[tuple[JudgedPair, ...], int]:
    """One pair per instruction, and how many were doubles: repeated judgements of one pair count as their mean.

    Raises DataError where an instruction stands with two different answers: it is not known which one counts.
    """
    by_instruction: dict[str, list[JudgedPair]] = {}
    for pair in pairs:
        by_instruction.setdefault(pair.instruction, []).append(pair)
    for instruction, group in by_instruction.items():
        if len({(pair.reference, pair.answer) for pair in group}) > 1:
            raise DataError(f"The instruction {instruction!r:.60} is judged with different answers; keep one of them.")
    return tuple(_mean(group) for group in by_instruction.values()), len(pairs) - len(by_instruction)


def common(first: Judgements, second: Judgements) -> tuple[Judgements, Judgements]:
    """Both over the instructions they share, in the first's order; what either has alone is counted in `mismatch`.

    Raises DataError when they share none.
    """
    known = {pair.instruction: pair for pair in second.pairs}
    kept = tuple(pair for pair in first.pairs if pair.instruction in known)
    if not kept:
        raise DataError(f"{first.model} and {second.model} were judged on no common instruction; compare the same set.")
    others = tuple(known[pair.instruction] for pair in kept)
    return _over(first, kept), _over(second, others)


def _over(judged: Judgements, kept: tuple[JudgedPair, ...]) -> Judgements:
    alone = len(judged.pairs) - len(kept)
    mismatch = {**judged.mismatch, **({"only in this file": alone} if alone else {})}
    return Judgements(kept, judged.model, judged.reference, judged.judge, mismatch)


def _mean(group: Sequence[JudgedPair]) -> JudgedPair:
    known = [pair.share for pair in group if not isinstance(pair.share, Unscored)]
    if len(group) == 1 or not known:
        return group[0]
    first = group[0]
    return JudgedPair(first.instruction, first.reference, first.answer, sum(known) / len(known))
