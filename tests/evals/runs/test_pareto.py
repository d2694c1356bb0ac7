"""Fronts and covered volumes against brute force, closed forms and random points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import DataError
from spanwise.evals.runs.pareto import covered, front

UNIT = st.floats(min_value=0, max_value=1, allow_nan=False)


def test_a_front_by_hand():
    points = np.array([[0.1, 0.5], [0.2, 0.9], [0.3, 0.8], [0.1, 0.5], [0.4, float("nan")]])
    assert front(points, ("lower", "higher")) == [0, 1, 3], "equal points stay together, a missing value is no point"
    assert front(points, ("higher", "higher")) == [1, 2]


@settings(deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT, UNIT), min_size=1, max_size=12))
def test_everyone_off_the_front_is_beaten_by_someone_on_it(rows):
    points = np.array(rows)
    chosen = front(points, ("higher", "lower", "higher"))
    signed = points * [1, -1, 1]
    for place, own in enumerate(signed):
        beaten = any((signed[other] >= own).all() and (signed[other] > own).any() for other in chosen)
        assert beaten != (place in chosen)


def test_a_metric_without_a_better_end_has_no_front():
    with pytest.raises(DataError, match="no front"):
        front(np.zeros((1, 2)), ("lower", "none"))


def test_without_any_metric_nobody_is_beaten():
    assert front(np.zeros((3, 0)), ()) == [0, 1, 2]


def test_one_setting_covers_its_box():
    # 20 % errors of at most 50 %, and 0.7 of a completeness from 0.5 to 1: 0.6 x 0.4 of the box
    assert covered(np.array([[0.2, 0.7]]), worst=(0.5, 0.5), best=(0.0, 1.0)) == pytest.approx(0.24)


def test_two_settings_cover_the_union_of_their_boxes():
    points = np.array([[0.5, 1.0], [1.0, 0.5]])
    assert covered(points, worst=(0, 0), best=(1, 1)) == pytest.approx(0.75)
    assert covered(np.vstack([points, [[0.4, 0.4]]]), worst=(0, 0), best=(1, 1)) == pytest.approx(0.75)


def test_beyond_the_bounds_counts_as_the_bound():
    assert covered(np.array([[9.0, -3.0]]), worst=(0, 0), best=(1, 1)) == 0
    assert covered(np.array([[9.0, 9.0]]), worst=(0, 0), best=(1, 1)) == 1
    assert covered(np.array([[float("nan"), 1.0]]), worst=(0, 0), best=(1, 1)) == 0


def test_bounds_must_differ():
    with pytest.raises(DataError, match="worst and best"):
        covered(np.zeros((1, 1)), worst=(1,), best=(1,))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT, UNIT), min_size=1, max_size=8))
def test_the_covered_volume_is_that_of_random_points_below_a_setting(rows):
    points = np.array(rows)
    thrown = np.random.default_rng(0).random((20_000, 3))
    hit = (thrown[:, None, :] <= points[None]).all(axis=2).any(axis=1).mean()
    assert covered(points, worst=(0, 0, 0), best=(1, 1, 1)) == pytest.approx(hit, abs=0.02)
