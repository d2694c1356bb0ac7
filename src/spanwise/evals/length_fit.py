"""The logistic model of AlpacaEval's length control, fitted to one model's judgements.

AlpacaEval's fit is an L1-penalised logistic regression on the soft shares, its strength chosen by
cross-validation, which sees beside the judgements those of two "gamed" baselines: the reference told to be brief and
to be wordy. They hold the length and difficulty weights in place. That file is on a server; what it does to a fit is
two sums over its labels and the places of its rows, which `alpaca_regulariser.json` keeps as weighted points
(recipes/win_rate/regulariser.py made it). Columns are length, difficulty, model; knows nothing of texts or files.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import expit

STRENGTHS = tuple(float(value) for value in np.logspace(-4, 4, 10))
"""Inverse penalties among which cross-validation chooses."""
FOLDS = 10
"""AlpacaEval takes five; ten came nearer to the values it published, the files on which they were chosen."""
NEWTON_STEPS = 8


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
    text = resources.files("spanwise.evals").joinpath("alpaca_regulariser.json").read_text("utf-8")
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

    found = minimize(
        objective,
        np.zeros(2 * size),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * size),
        options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8},
    )
    return found.x[:size] - found.x[size:]


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
        for place, strength in enumerate(STRENGTHS):
            weights = fit(rows.take(kept), held.times(1 - 1 / folds), strength=strength)
            losses[place] += rows.take(tested).loss(weights) + held.loss(weights) / folds
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
