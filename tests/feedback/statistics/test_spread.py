import statistics

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


def test_nothing_has_no_spread_and_no_share():
    assert Spread.of([]) is None
    assert share(1, 0) is None
    assert share(1, 4) == 0.25
