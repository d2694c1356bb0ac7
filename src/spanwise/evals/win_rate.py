"""The win rate of a model against a reference, as AlpacaEval counts it: its mean, standard error, wins and ties.

Knows nothing of lengths (`length_control.py`) or of where the judgements came from.
"""

import math
from dataclasses import dataclass

from spanwise.errors import DataError
from spanwise.evals.pairwise import Judgements


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
