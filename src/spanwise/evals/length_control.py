"""The length-controlled win rate: the win rate that a model would have if its answers were as long as the reference's.

AlpacaEval's definition (Dubois et al. 2024): logit P(model preferred) = w_length * tanh(d / sd(d)) + w_difficulty *
difficulty + w_model, with d the reference's characters less the model's; the prediction at d = 0, averaged over all
instructions, is the result. Here everything is joined by the instruction's text. (AlpacaEval looks difficulties up by
row number, so that the files it saved without some of the rows have every later difficulty shifted.)

The weights are those stored for the model where they fit the judgements, and are fitted otherwise. The interval is a
bootstrap over instructions that fits anew each time; AlpacaEval's standard error knows of the predictions' spread only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from spanwise.errors import DataError
from spanwise.evals.length_fit import SoftRows, best_strength, fit, refit, regulariser
from spanwise.evals.length_weights import LengthWeights
from spanwise.evals.pairwise import Judgements

LOSS_MARGIN = 0.04
"""How many nats per instruction stored weights may lose against fitted ones before they are another model's."""


@dataclass(frozen=True)
class LengthControlled:
    """The result in per cent, and how it was had."""

    win_rate: float
    standard_error: float | None
    """AlpacaEval's: of the predictions' mean over instructions, with the weights taken as known."""
    low: float | None
    high: float | None
    """Ends of the bootstrap interval."""
    method: Literal["stored weights", "fitted", "same model"]
    weights: LengthWeights
    with_difficulty: bool
    left_out: int = 0
    """Pairs whose instruction has no difficulty."""
    notes: tuple[str, ...] = ()


def tanh_lengths(references: Sequence[str], answers: Sequence[str]) -> Float[np.ndarray, " p"]:
    """The tanh of the length difference in characters, reference less answer, in sample standard deviations."""
    difference = np.array([len(one) - len(other) for one, other in zip(references, answers, strict=True)], np.float64)
    deviation = difference.std(ddof=1) if len(difference) > 1 else 0.0
    return np.tanh(difference / deviation) if deviation > 0 else np.zeros_like(difference)


def length_controlled(
    judged: Judgements,
    *,
    generator: np.random.Generator,
    weights: Mapping[str, LengthWeights] | None = None,
    names: Sequence[str] = (),
    difficulty: Mapping[str, float] | None = None,
    resamples: int = 500,
    level: float = 0.95,
) -> LengthControlled:
    """The length-controlled win rate of `judged`; raises DataError when no pair that was decided has a difficulty.

    `names` are what the model may be called in `weights`, the likeliest first.
    """
    return length_controlled_draws(
        judged,
        generator=generator,
        weights=weights,
        names=names,
        difficulty=difficulty,
        resamples=resamples,
        level=level,
    )[0]


def length_controlled_draws(
    judged: Judgements,
    *,
    generator: np.random.Generator,
    weights: Mapping[str, LengthWeights] | None = None,
    names: Sequence[str] = (),
    difficulty: Mapping[str, float] | None = None,
    resamples: int = 500,
    level: float = 0.95,
) -> tuple[LengthControlled, Float[np.ndarray, " r"]]:
    """The same with the bootstrap's draws, NaN where a draw held no decided pair.

    Of two models over the same instructions and with generators of one seed, the draws are of the same instructions.
    """
    pairs = [pair for pair in judged.pairs if difficulty is None or pair.instruction in difficulty]
    left_out, places = len(judged.pairs) - len(pairs), _columns(judged, difficulty)
    scored = np.isfinite(places.shares)
    if not scored.any():
        raise DataError("No decided pair has a difficulty; give the difficulties of these instructions.")
    if judged.model and judged.model == judged.reference:
        same = LengthControlled(50.0, 0.0, 50.0, 50.0, "same model", LengthWeights(0, 0, 0), difficulty is not None)
        return same, np.full(resamples, 50.0)
    rows, held = places.take(np.flatnonzero(scored)), regulariser(with_difficulty=difficulty is not None)
    strength = best_strength(rows, held)
    fitted = fit(rows, held, strength=strength)
    stored, notes = _stored(rows, fitted, weights if difficulty is not None else None, names)
    used = fitted if stored is None else stored
    chances = 100 * expit(places.features[:, 1:] @ used[1:])
    drawn = _replicates(places, held, fitted, strength=strength, generator=generator, resamples=resamples)
    drawn = drawn + (float(chances.mean()) - _predicted(places, fitted))
    low, high = percentile_ends(np.clip(drawn, 0, 100), level)
    found = LengthControlled(
        win_rate=float(chances.mean()),
        standard_error=float(chances.std(ddof=1)) / math.sqrt(len(chances)) if len(chances) > 1 else None,
        low=low,
        high=high,
        method="fitted" if stored is None else "stored weights",
        weights=LengthWeights(float(used[0]), float(used[1]) if len(used) > 2 else 0.0, float(used[-1])),
        with_difficulty=difficulty is not None,
        left_out=left_out,
        notes=notes,
    )
    return found, drawn


def _columns(judged: Judgements, difficulty: Mapping[str, float] | None) -> SoftRows:
    """Length, difficulty where there is one, and 1 per pair; the lengths' deviation is that of all pairs."""
    lengths = tanh_lengths([one.reference for one in judged.pairs], [one.answer for one in judged.pairs])
    columns, shares = [lengths, np.ones_like(lengths)], judged.shares
    if difficulty is not None:
        columns.insert(1, np.array([difficulty.get(one.instruction, np.nan) for one in judged.pairs]))
    features = np.stack(columns, axis=1)
    known = np.isfinite(features).all(axis=1)
    return SoftRows(features[known], shares[known], np.ones(int(known.sum())))


def _stored(
    rows: SoftRows,
    fitted: Float[np.ndarray, " k"],
    weights: Mapping[str, LengthWeights] | None,
    names: Sequence[str],
) -> tuple[Float[np.ndarray, " k"] | None, tuple[str, ...]]:
    """The stored weights among `names` that fit the judgements best, or None and why."""
    found = {name: _vector(weights[name]) for name in names if weights and name in weights}
    if weights is not None and not found:
        known = " or ".join(repr(name) for name in names if name) or "a model without name"
        return None, (f"The weights file has no row for {known}: fitted instead.",)
    if not found:
        return None, ()
    losses = {name: rows.loss(vector) for name, vector in found.items()}
    best = min(losses, key=lambda name: losses[name])
    lost = (losses[best] - rows.loss(fitted)) / len(rows.shares)
    if lost > LOSS_MARGIN:
        reason = f"are not of these judgements ({lost:.2f} nats per instruction worse than a fit)"
        return None, (f"The stored weights of {best!r} {reason}: fitted instead.",)
    return found[best], ()


def _vector(weights: LengthWeights) -> Float[np.ndarray, " k"]:
    return np.array([weights.length, weights.difficulty, weights.model])


def _predicted(places: SoftRows, weights: Float[np.ndarray, " k"]) -> float:
    """The win rate in per cent at equal length, each row counting as often as it says."""
    return 100 * float(np.average(expit(places.features[:, 1:] @ weights[1:]), weights=places.counts))


def _replicates(
    places: SoftRows,
    held: SoftRows,
    fitted: Float[np.ndarray, " k"],
    *,
    strength: float,
    generator: np.random.Generator,
    resamples: int,
) -> Float[np.ndarray, " r"]:
    """The prediction of a new fit for each draw of instructions with replacement; none where there is one."""
    count, drawn = len(places.shares), list[float]()
    scored = np.isfinite(places.shares)
    for _ in range(resamples if count > 1 else 0):
        times = generator.multinomial(count, np.full(count, 1 / count)).astype(np.float64)
        sample = places.times(times)
        kept = np.flatnonzero(scored & (times > 0))
        weights = refit(sample.take(kept), held, fitted, strength=strength) if len(kept) else None
        drawn.append(np.nan if weights is None else _predicted(sample, weights))
    return np.array(drawn)


def percentile_ends(drawn: Float[np.ndarray, " r"], level: float) -> tuple[float | None, float | None]:
    """Both ends of the percentile interval; None where nothing was drawn."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
