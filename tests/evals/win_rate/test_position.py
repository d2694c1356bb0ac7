import numpy as np
import pytest

from spanwise.evals.win_rate.judging import position_bias
from spanwise.feedback.scores import Unscored


def test_a_fair_judge_has_no_bias_and_agrees_with_itself():
    found = position_bias({"a": (1.0, 1.0), "b": (0.0, 0.0), "c": (0.5, 0.5)}, generator=np.random.default_rng(0))
    assert (found.n, found.first_preferred, found.consistent) == (3, 0.5, 1.0)


def test_the_estimate_is_the_mean_share_of_what_was_shown_first():
    # The model is preferred only when it is shown first on "a", always on "b".
    found = position_bias({"a": (0.0, 1.0), "b": (1.0, 1.0)}, generator=np.random.default_rng(0))
    assert found.first_preferred == pytest.approx((1.0 + 0.5) / 2)
    assert found.consistent == 0.5
    assert found.low <= found.first_preferred <= found.high


def test_pairs_without_both_orders_are_left_out():
    found = position_bias({"a": (Unscored("x"), 1.0)}, generator=np.random.default_rng(0))
    assert (found.n, found.first_preferred) == (0, None)
