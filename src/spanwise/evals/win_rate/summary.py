"""Everything a win-rate evaluation says, as one record: the numbers, their intervals, what was left out, warnings.

The plain win rate stands here; it is joined with `length_control`, `output_checks` and the prompts that it takes to see
a difference. The command line prints what is made here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from spanwise.core import DataError, numpy_generator
from spanwise.evals.statistics import Judgements, estimate, prompts_needed
from spanwise.evals.win_rate.alpaca_files import read_annotations
from spanwise.evals.win_rate.length_control import LengthControlled, length_controlled
from spanwise.evals.win_rate.length_weights import LengthWeights, read_difficulty, read_weights
from spanwise.evals.win_rate.output_checks import OutputChecks, check_outputs

POINTS = 2.0
"""The difference in points of win rate that the power sentence speaks of."""


@dataclass(frozen=True)
class WinRate:
    """Percentages over the pairs that were decided, and the counts behind them."""

    n: int
    """Decided pairs."""
    win_rate: float
    """100 times the mean share."""
    standard_error: float | None
    """100 times the sample standard deviation of the shares by the root of n; None for one pair."""
    wins: int
    losses: int
    draws: int
    discrete_win_rate: float
    """The same when every preference, however slight, counts as a whole win or loss."""


def win_rate(judged: Judgements) -> WinRate:
    """The win rate over all decided pairs; raises DataError when there is none."""
    shares = judged.shares[judged.scored]
    if not len(shares):
        reasons = "; ".join(f"{reason} ({count})" for reason, count in judged.unscored.items()) or "no pairs"
        raise DataError(f"No pair of {judged.model or 'the model'} was decided: {reasons}.")
    wins, losses = int((shares > 0.5).sum()), int((shares < 0.5).sum())
    draws = len(shares) - wins - losses
    return WinRate(
        n=len(shares),
        win_rate=100 * float(shares.mean()),
        standard_error=100 * float(shares.std(ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else None,
        wins=wins,
        losses=losses,
        draws=draws,
        discrete_win_rate=100 * (wins + draws / 2) / len(shares),
    )


class StoredLengths(NamedTuple):
    """Files of stored length control, and the model's name in the weights; empty where its own name will do."""

    weights: Path | None = None
    difficulty: Path | None = None
    model: str = ""


@dataclass(frozen=True)
class WinRateSummary:
    """One model against one reference."""

    judged: Judgements
    rate: WinRate
    low: float | None
    high: float | None
    """Ends of the win rate's bootstrap interval over prompts, in per cent."""
    length: LengthControlled
    outputs: OutputChecks
    notes: tuple[str, ...]

    @property
    def prompts_needed(self) -> int | None:
        """Prompts to see a win rate `POINTS` away from a fixed value; None where the shares do not vary."""
        error = self.rate.standard_error
        return prompts_needed(error * self.rate.n**0.5, POINTS) if error else None

    @property
    def average_length(self) -> int:
        """Mean characters of the model's answers, cut to a whole number as AlpacaEval does."""
        return int(sum(len(pair.answer) for pair in self.judged.pairs) / len(self.judged.pairs))

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints; rates are per cent."""
        length = asdict(self.length)
        return {
            "model": self.judged.model,
            "reference": self.judged.reference,
            "judge": self.judged.judge,
            **asdict(self.rate),
            "interval": [self.low, self.high],
            "length_controlled_win_rate": length.pop("win_rate"),
            "length_controlled_standard_error": length.pop("standard_error"),
            "length_controlled_interval": [length.pop("low"), length.pop("high")],
            "length_control": length,
            "average_length": self.average_length,
            "unscored": self.judged.unscored,
            "mismatch": dict(self.judged.mismatch),
            "outputs": asdict(self.outputs),
            "prompts_for_2_points": self.prompts_needed,
            "notes": list(self.notes),
        }

    def leaderboard_row(self) -> dict[str, Any]:
        """The model's row with AlpacaEval's columns."""
        rate = self.rate
        return {
            "win_rate": rate.win_rate,
            "standard_error": rate.standard_error,
            "n_wins": rate.wins,
            "n_wins_base": rate.losses,
            "n_draws": rate.draws,
            "n_total": rate.n,
            "discrete_win_rate": rate.discrete_win_rate,
            "mode": "community",
            "avg_length": self.average_length,
            "length_controlled_winrate": self.length.win_rate,
            "lc_standard_error": self.length.standard_error,
        }


def summarise(
    judged: Judgements,
    *,
    weights: Mapping[str, LengthWeights] | None = None,
    names: Sequence[str] = (),
    difficulty: Mapping[str, float] | None = None,
    seed: int = 0,
    resamples: int = 500,
) -> WinRateSummary:
    """All numbers of `judged`; `names` are what the model may be called in `weights` beside its own name."""
    rate = win_rate(judged)
    interval = estimate(judged.table(), generator=numpy_generator(seed, "win rate"), resamples=max(resamples, 1))
    length, _ = length_controlled(
        judged,
        generator=numpy_generator(seed, "length control"),
        weights=weights,
        names=[name for name in (judged.model, *names) if name],
        difficulty=difficulty,
        resamples=resamples,
    )
    outputs = check_outputs([pair.answer for pair in judged.pairs], [pair.reference for pair in judged.pairs])
    low, high = (None if end is None or not resamples else 100 * end for end in (interval.low, interval.high))
    notes = [*length.notes, *outputs.warnings]
    if weights is not None and difficulty is None:
        notes.append("Weights without difficulties say nothing here: length control was fitted without both.")
    return WinRateSummary(judged, rate, low, high, length, outputs, tuple(notes))


def summarise_file(annotations: Path, stored: StoredLengths, *, seed: int = 0, resamples: int = 500) -> WinRateSummary:
    """The numbers of an annotation file.

    Where `stored` names no model, the weights may go by the file's generator or by a folder above the file, as
    AlpacaEval's results tree names models: whichever fits the judgements.
    """
    folders = tuple(folder.name for folder in annotations.resolve().parents)
    return summarise_stored(read_annotations(annotations), stored, folders=folders, seed=seed, resamples=resamples)


def summarise_stored(
    judged: Judgements,
    stored: StoredLengths,
    *,
    folders: Sequence[str] = (),
    seed: int = 0,
    resamples: int = 500,
) -> WinRateSummary:
    """The numbers of `judged`, with length control from the files in `stored`."""
    weights = None if stored.weights is None else read_weights(stored.weights)
    difficulty = None if stored.difficulty is None else read_difficulty(stored.difficulty, weights)
    named = replace(judged, model=stored.model) if stored.model else judged
    names = () if stored.model else folders
    return summarise(named, weights=weights, names=names, difficulty=difficulty, seed=seed, resamples=resamples)
