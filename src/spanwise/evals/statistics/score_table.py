"""`ScoreTable`: one metric of one arm, by seed and prompt, with what could not be scored told apart from 0.

Shapes: S seeds, P prompts. A score is a total and a count, so that a plain value (count 1) and a micro-averaged share
(wrong segments of all segments; an answer without segments has 0 of 0) go through the same statistics (`intervals.py`),
which this file knows nothing of.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from spanwise.core import DataError
from spanwise.feedback import Unscored


@dataclass(frozen=True)
class ScoreTable:
    """Totals and counts of one metric of one arm."""

    ids: tuple[str, ...]
    totals: Float[np.ndarray, "s p"]
    counts: Float[np.ndarray, "s p"]
    seeds: tuple[int, ...] = (0,)
    scored: Bool[np.ndarray, "#s #p"] = field(default_factory=lambda: np.ones((1, 1), dtype=np.bool_))
    """False where there is no score; total and count are 0 there. One value may stand for all."""

    @classmethod
    def from_values(cls, values: Mapping[str, float | Unscored | None], *, seed: int = 0) -> "ScoreTable":
        """One value per prompt id; None, NaN and Unscored are counted as unscored and enter no mean."""
        return cls.from_ratios({key: _as_ratio(value) for key, value in values.items()}, seed=seed)

    @classmethod
    def from_ratios(cls, ratios: Mapping[str, tuple[float, float] | None], *, seed: int = 0) -> "ScoreTable":
        """A (total, count) per prompt id, such as wrong segments and segments; None is unscored, (0, 0) is not.

        The mean is the micro-average: the sum of the totals by the sum of the counts.
        """
        for key, ratio in ratios.items():
            if ratio is not None and not (math.isfinite(ratio[0]) and 0 <= ratio[1] < math.inf):
                raise DataError(f"Prompt {key!r}: the score {ratio} is not finite; mend the source that gave it.")
        table = np.array([ratio or (0.0, 0.0) for ratio in ratios.values()], dtype=np.float64).reshape(-1, 2)
        scored = np.array([ratio is not None for ratio in ratios.values()], dtype=np.bool_)
        return cls(tuple(ratios), table[None, :, 0], table[None, :, 1], (seed,), scored[None])

    @classmethod
    def from_samples(cls, samples: Mapping[str, Sequence[tuple[float, float]]], *, seed: int = 0) -> "ScoreTable":
        """The (total, count) of each answer to a prompt, by prompt id; a prompt without any is unscored.

        A prompt's total and count are means over its answers: every prompt counts alike, however often it was answered,
        so that one greedy answer and eight sampled ones can be compared and swapped in a permutation.
        """
        return cls.from_ratios(
            {
                key: (sum(total for total, _ in own) / len(own), sum(count for _, count in own) / len(own))
                if own
                else None
                for key, own in samples.items()
            },
            seed=seed,
        )

    @classmethod
    def stack(cls, by_seed: Mapping[int, "ScoreTable"]) -> "ScoreTable":
        """Joins one-seed scores of the same prompts; raises DataError when their ids differ."""
        parts = list(by_seed.values())
        if not parts:
            raise DataError("There are no seeds to join; run at least one.")
        aligned = [part.reorder(parts[0].ids, place=f"seed {seed}") for seed, part in by_seed.items()]
        totals, counts = (np.concatenate([getattr(part, name) for part in aligned]) for name in ("totals", "counts"))
        scored = np.concatenate([part.mask for part in aligned])
        return cls(parts[0].ids, totals, counts, tuple(by_seed), scored)

    def reorder(self, ids: tuple[str, ...], *, place: str) -> "ScoreTable":
        """The same scores in the order of `ids`; raises DataError naming the first id that only one side has."""
        if ids == self.ids:
            return self
        position = {key: index for index, key in enumerate(self.ids)}
        missing = [key for key in ids if key not in position]
        extra = sorted(set(self.ids) - set(ids))
        if missing or extra:
            side = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} that the other lacks"
            counts = f"{len(missing)} missing, {len(extra)} too many"
            raise DataError(f"{place} {side} ({counts}); score the same prompts in both.")
        order = [position[key] for key in ids]
        return ScoreTable(ids, self.totals[:, order], self.counts[:, order], self.seeds, self.mask[:, order])

    @property
    def mask(self) -> Bool[np.ndarray, "s p"]:
        """True where there is a score."""
        return np.broadcast_to(self.scored, self.counts.shape)

    @property
    def unscored(self) -> int:
        """How many prompt-seed pairs have no score."""
        return int((~self.mask).sum())

    def where(self, mask: Bool[np.ndarray, "s p"]) -> "ScoreTable":
        """Only the scores that `mask` names, without the prompts that it leaves out in every seed."""
        kept = np.flatnonzero(mask.any(axis=0))
        totals, counts = (np.where(mask, table, 0.0)[:, kept] for table in (self.totals, self.counts))
        return ScoreTable(tuple(self.ids[index] for index in kept), totals, counts, self.seeds, mask[:, kept])


def pair_tables(arm: ScoreTable, baseline: ScoreTable) -> tuple[ScoreTable, ScoreTable, int]:
    """Both tables over the prompts that both scored, and how many prompt-seed pairs that leaves out.

    Raises DataError when they were not made of the same prompts and seeds.
    """
    if arm.seeds != baseline.seeds:
        raise DataError(f"The arms ran with seeds {arm.seeds} and {baseline.seeds}; compare runs of the same seeds.")
    baseline = baseline.reorder(arm.ids, place="The baseline")
    both = arm.mask & baseline.mask
    return arm.where(both), baseline.where(both), int((~both).sum())


def _as_ratio(value: float | Unscored | None) -> tuple[float, float] | None:
    if value is None or isinstance(value, Unscored) or math.isnan(value):
        return None
    return float(value), 1.0
