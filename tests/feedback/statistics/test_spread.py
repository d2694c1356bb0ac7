import statistics
from collections import Counter

import numpy as np
import pytest
from doubles.feedback import patient
from hypothesis import given
from hypothesis import strategies as st

from spanwise.feedback.statistics.spread import Spread, share


@patient
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30))
def test_figures_agree_with_the_standard_library(values):
    spread = Spread.of(values)
    assert spread is not None
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.sd == pytest.approx(statistics.pstdev(values), abs=1e-9)
    assert (spread.median, spread.max) == (statistics.median(values), max(values))
    below = sum(value <= spread.p90 for value in values) / len(values)
    assert spread.p90 in values
    assert below >= 0.9


@patient
@given(st.lists(st.integers(0, 5) | st.floats(0, 1), min_size=1, max_size=300))
def test_figures_are_those_of_numpy_and_the_same_of_counted_values(values):
    spread, numbers = Spread.of(values), np.array(values, dtype=float)
    assert spread == Spread.of(Counter(values))
    assert (spread.median, spread.max) == (np.median(numbers), numbers.max())
    assert spread.p90 == np.percentile(numbers, 90, method="inverted_cdf")
    assert (spread.mean, spread.sd) == pytest.approx((numbers.mean(), numbers.std()), rel=1e-12, abs=1e-15)


def test_nothing_has_no_spread_and_no_share():
    assert Spread.of([]) is None
    assert share(1, 0) is None
    assert share(1, 4) == 0.25
