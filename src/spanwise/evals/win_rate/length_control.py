"""The length-controlled win rate: the win rate that a model would have if its answers were as long as the reference's.

AlpacaEval's definition (Dubois et al. 2024): logit P(model preferred) = w_length * tanh(d / sd(d)) + w_difficulty *
difficulty + w_model, with d the reference's characters less the model's; the prediction at d = 0, averaged over all
instructions, is the result. Here everything is joined by the instruction's text. (AlpacaEval looks difficulties up by
row number, so that the files it saved without some of the rows have every later difficulty shifted.)

The weights are those stored for the model where they fit the judgements; otherwise they are fitted here, by a logistic
regression on shares whose penalty cross-validation chooses. The interval is a bootstrap over instructions that fits
anew each time; AlpacaEval's standard error knows of the predictions' spread only.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit

from spanwise.core import DataError
from spanwise.evals.statistics import Judgements
from spanwise.evals.win_rate.length_weights import LengthWeights

STRENGTHS = tuple(float(value) for value in np.logspace(-4, 4, 10))
"""Inverse penalties among which cross-validation chooses."""
FOLDS = 10
"""AlpacaEval takes five; ten came nearer to the values it published, the files on which they were chosen."""
NEWTON_STEPS = 8
LOSS_MARGIN = 0.04
"""How many nats per instruction stored weights may lose against fitted ones before they are another model's."""


@dataclass(frozen=True)
class SoftRows:
    """Rows of a soft logistic regression: features, the share to be met, and how much each row counts."""

    features: Float[np.ndarray, "n k"]
    shares: Float[np.ndarray, " n"]
    counts: Float[np.ndarray, " n"]

    def loss(self, weights: Float[np.ndarray, " k"]) -> float:
        """The summed cross-entropy."""
        logits = self.features @ weights
        return float(self.counts @ (np.logaddexp(0, logits) - self.shares * logits))

    def slope(self, weights: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The gradient of `loss`."""
        return self.features.T @ (self.counts * (expit(self.features @ weights) - self.shares))

    def curvature(self, weights: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k k"]:
        """The Hessian of `loss`."""
        chance = expit(self.features @ weights)
        return (self.features * (self.counts * chance * (1 - chance))[:, None]).T @ self.features

    def times(self, counts: Float[np.ndarray, " n"] | float) -> "SoftRows":
        """The same rows, each counting that many times more."""
        return SoftRows(self.features, self.shares, self.counts * counts)

    def plus(self, other: "SoftRows") -> "SoftRows":
        """Both sets of rows."""
        parts = ((self.features, other.features), (self.shares, other.shares), (self.counts, other.counts))
        return SoftRows(*(np.concatenate(pair) for pair in parts))

    def take(self, which: Int[np.ndarray, " m"]) -> "SoftRows":
        """Only the rows at these places."""
        return SoftRows(self.features[which], self.shares[which], self.counts[which])


@cache
def regulariser(*, with_difficulty: bool) -> SoftRows:
    """The gamed baselines' rows; they know nothing of the model, so its column is 0."""
    text = resources.files("spanwise.evals.win_rate").joinpath("alpaca_regulariser.json").read_text("utf-8")
    length, difficulty, counts, shares = np.array(json.loads(text)["points"], dtype=np.float64).T
    columns = (length, difficulty, np.zeros_like(length)) if with_difficulty else (length, np.zeros_like(length))
    return SoftRows(np.stack(columns, axis=1), shares, counts)


def fit(rows: SoftRows, held: SoftRows, *, strength: float) -> Float[np.ndarray, " k"]:
    """The weights that minimise loss + |weights| / strength over both sets of rows."""
    both, size = rows.plus(held), rows.features.shape[1]

    def objective(halves: Float[np.ndarray, " m"]) -> tuple[float, Float[np.ndarray, " m"]]:
        # Positive and negative parts apart make the absolute values smooth (Schmidt, Fung, Rosales 2007).
        weights = halves[:size] - halves[size:]
        slope = both.slope(weights)
        value = both.loss(weights) + float(halves.sum()) / strength
        return value, np.concatenate([slope, -slope]) + 1 / strength

    # L-BFGS-B finds the region and stops early where the penalty is weak and both halves of a weight are nearly free,
    # at places that differ between processors; from there SLSQP goes on to the minimum.
    bounds = [(0, None)] * (2 * size)
    near = minimize(objective, np.zeros(2 * size), jac=True, method="L-BFGS-B", bounds=bounds)
    options = {"maxiter": 1000, "ftol": 1e-13}
    solution = minimize(objective, near.x, jac=True, method="SLSQP", bounds=bounds, options=options)
    return solution.x[:size] - solution.x[size:]


def best_strength(rows: SoftRows, held: SoftRows) -> float:
    """The penalty with the lowest held-out loss; rows go to folds from the last to the first, as AlpacaEval deals."""
    count = len(rows.shares)
    folds = min(FOLDS, count)
    if folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]
    fold = np.arange(count)[::-1] % folds
    losses = np.zeros(len(STRENGTHS))
    for left_out in range(folds):
        kept, tested = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
        for index, strength in enumerate(STRENGTHS):
            weights = fit(rows.take(kept), held.times(1 - 1 / folds), strength=strength)
            losses[index] += rows.take(tested).loss(weights) + held.loss(weights) / folds
    return STRENGTHS[int(losses.argmin())]


def refit(
    rows: SoftRows, held: SoftRows, start: Float[np.ndarray, " k"], *, strength: float
) -> Float[np.ndarray, " k"]:
    """The weights for slightly other counts, by Newton's steps from `start`, whose signs the penalty keeps."""
    both, weights, pull = rows.plus(held), start, np.sign(start) / strength
    ridge = 1e-9 * np.eye(len(start))
    for _ in range(NEWTON_STEPS):
        step = np.linalg.solve(both.curvature(weights) + ridge, both.slope(weights) + pull)
        weights = weights - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return weights


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
    difference = np.array(
        [len(reference) - len(other) for reference, other in zip(references, answers, strict=True)], np.float64
    )
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
) -> tuple[LengthControlled, Float[np.ndarray, " r"]]:
    """The length-controlled win rate of `judged`, and the bootstrap's draws, NaN where one held no decided pair.

    `names` are what the model may be called in `weights`, the likeliest first. Of two models over the same instructions
    and with generators of one seed, the draws are of the same instructions. Raises DataError when no pair that was
    decided has a difficulty.
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


def percentile_ends(drawn: Float[np.ndarray, " r"], level: float) -> tuple[float | None, float | None]:
    """Both ends of the percentile interval; None where nothing was drawn."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return None, None
    low, high = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _columns(judged: Judgements, difficulty: Mapping[str, float] | None) -> SoftRows:
    """Length, difficulty where there is one, and 1 per pair; the lengths' deviation is that of all pairs."""
    lengths = tanh_lengths([pair.reference for pair in judged.pairs], [pair.answer for pair in judged.pairs])
    columns, shares = [lengths, np.ones_like(lengths)], judged.shares
    if difficulty is not None:
        columns.insert(1, np.array([difficulty.get(pair.instruction, np.nan) for pair in judged.pairs]))
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
    vectors = {name: _vector(weights[name]) for name in names if weights and name in weights}
    if weights is not None and not vectors:
        known = " or ".join(repr(name) for name in names if name) or "a model without name"
        return None, (f"The weights file has no row for {known}: fitted instead.",)
    if not vectors:
        return None, ()
    losses = {name: rows.loss(vector) for name, vector in vectors.items()}
    best = min(losses, key=lambda name: losses[name])
    lost = (losses[best] - rows.loss(fitted)) / len(rows.shares)
    if lost > LOSS_MARGIN:
        reason = f"are not of these judgements ({lost:.2f} nats per instruction worse than a fit)"
        return None, (f"The stored weights of {best!r} {reason}: fitted instead.",)
    return vectors[best], ()


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
