"""Calibration recovers known numbers and helps on data it has not seen."""

import numpy as np
import pytest
from scipy.special import expit

from spanwise.core.errors import DataError
from spanwise.core.seeding import numpy_generator
from spanwise.reward_models.fitting.calibration import (
    expected_calibration_error,
    fit_platt,
    mean_and_deviation,
    negative_log_likelihood,
)


def overconfident(purpose, n=4000):
    """Logits three times too large and shifted by one, with the labels that the right ones would give."""
    generator = numpy_generator(0, purpose)
    right = generator.normal(size=n)
    return (3 * right + 1).tolist(), (generator.random(n) < expit(right)).astype(float).tolist()


def test_platt_recovers_a_known_slope_and_offset():
    slope, offset = fit_platt(*overconfident("fit"))
    assert slope == pytest.approx(1 / 3, rel=0.1)
    assert offset == pytest.approx(-1 / 3, abs=0.08)


def test_calibration_lowers_both_errors_on_unseen_data():
    slope, offset = fit_platt(*overconfident("fit"))
    logits, labels = overconfident("unseen")
    before, after = expit(np.array(logits)), expit(slope * np.array(logits) + offset)
    assert expected_calibration_error(after, labels) < 0.03 < 0.1 < expected_calibration_error(before, labels)
    assert negative_log_likelihood(after, labels) < negative_log_likelihood(before, labels) - 0.1


def test_order_is_kept_even_where_logits_mislead():
    slope, _ = fit_platt([2.0, 1.0, -1.0, -2.0] * 20, [0.0, 0.0, 1.0, 1.0] * 20)
    assert 0 < slope < 0.2


def test_separable_scant_and_absent_data_give_finite_numbers():
    for data in (([5.0, -5.0], [1.0, 0.0]), ([1.0], [1.0]), ([1.0] * 500, [1.0] * 500)):
        assert all(np.isfinite(fit_platt(*data)))
    assert fit_platt([], []) == (1.0, 0.0)


def test_calibration_error_by_hand():
    # Bin [.2, .3): mean probability .25, frequency 1/2; bin [.9, 1]: .95 and 1.
    assert expected_calibration_error([0.2, 0.3 - 1e-9, 0.95, 0.95], [0, 1, 1, 1]) == pytest.approx(
        0.5 * 0.25 + 0.5 * 0.05
    )


def test_calibration_error_counts_certainty_in_the_last_bin():
    assert expected_calibration_error([1.0, 1.0], [1, 0]) == pytest.approx(0.5)


def test_negative_log_likelihood_by_hand():
    assert negative_log_likelihood([0.75, 0.25], [1, 1]) == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)


def test_scores_without_spread_are_refused():
    assert mean_and_deviation([1.0, 3.0]) == pytest.approx((2.0, 2**0.5))
    for scores in ([1.0], [2.0, 2.0], []):
        with pytest.raises(DataError, match="hold out more"):
            mean_and_deviation(scores)
