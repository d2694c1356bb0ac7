"""Fits the numbers that turn logits into probabilities and standard scores, on held-out data.

Works on plain lists of numbers; knows nothing of models. Platt scaling keeps the order of the logits: its slope is
positive, and a unit Gaussian prior on its logarithm and on the offset, both for logits of unit spread, keeps them
finite on separable or scant data.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from spanwise.core import DataError

Numbers = Sequence[float] | NDArray[np.float64]


def fit_platt(logits: Numbers, correct: Numbers) -> tuple[float, float]:
    """Slope and offset that make sigmoid(slope * logit + offset) fit `correct`; (1, 0) where there is no data."""
    if len(logits) == 0:
        return 1.0, 0.0
    raw, y = np.asarray(logits, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    center, spread = raw.mean(), raw.std() or 1.0
    x = (raw - center) / spread

    def objective(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offset = np.exp(parameters[0]), parameters[1]
        z = slope * x + offset
        loss = np.logaddexp(0.0, z).sum() - (y * z).sum() + 0.5 * (parameters**2).sum()
        error = expit(z) - y
        return float(loss), np.array([(error * x).sum() * slope, error.sum()]) + parameters

    solution = minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-10, 10), (-50, 50)])
    slope = float(np.exp(solution.x[0]) / spread)
    return slope, float(solution.x[1] - slope * center)


def mean_and_deviation(scores: Numbers) -> tuple[float, float]:
    """Mean and standard deviation of raw scores; DataError where they do not differ or are fewer than two."""
    if len(scores) < 2 or float(np.std(scores)) == 0.0:
        raise DataError(
            f"{len(scores)} held-out responses give a sequence head no spread to normalise by; hold out more records."
        )
    return float(np.mean(scores)), float(np.std(scores, ddof=1))


def negative_log_likelihood(probabilities: Numbers, correct: Numbers) -> float:
    """Mean of -log of the probability given to what was the case."""
    p, y = np.clip(np.asarray(probabilities), 1e-12, 1 - 1e-12), np.asarray(correct)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())


def reliability_bins(probabilities: Numbers, correct: Numbers, *, bins: int = 10) -> list[dict[str, float]]:
    """Of each bin that is not empty: mean probability ("confidence"), frequency ("accuracy") and "count"."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    bin_index = np.minimum((p * bins).astype(int), bins - 1)
    return [
        {"confidence": float(p[here].mean()), "accuracy": float(y[here].mean()), "count": int(here.sum())}
        for here in (bin_index == number for number in range(bins))
        if here.any()
    ]


def expected_calibration_error(probabilities: Numbers, correct: Numbers, *, bins: int = 10) -> float:
    """Mean distance between probability and frequency over equally wide bins, weighted by their sizes."""
    reliability = reliability_bins(probabilities, correct, bins=bins)
    return sum(abs(bin_["confidence"] - bin_["accuracy"]) * bin_["count"] for bin_ in reliability) / max(
        1, len(correct)
    )
