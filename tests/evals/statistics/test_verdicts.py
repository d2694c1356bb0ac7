import pytest

from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.verdicts import hardest_rival, judge


def difference(low, high):
    return Estimate(mean=(low + high) / 2, low=low, high=high)


UP, DOWN, FLAT = difference(0.1, 0.3), difference(-0.3, -0.1), difference(-0.1, 0.2)
UNKNOWN, SINGLE = Estimate(mean=None), Estimate(mean=0.5)


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (0.1, 0.3, "higher", "not held"),
        (0.1, 0.3, "lower", "worse"),
        (-0.3, -0.1, "lower", "not held"),
        (-0.3, -0.1, "none", "lower"),
        (0.1, 0.3, "none", "higher"),
        (-0.1, 0.3, "higher", "no clear difference"),
        (0.0, 0.3, "higher", "no clear difference"),
        (None, None, "higher", "not known"),
    ],
)
def test_verdicts_need_an_interval_clear_of_zero(low, high, better, verdict):
    mean = 0.0 if low is None else (low + high) / 2
    assert judge(Estimate(mean=mean, low=low, high=high), better) == verdict


@pytest.mark.parametrize(
    ("to_baseline", "rivals", "better", "verdict"),
    [
        (UP, [UP], "higher", "better"),
        (DOWN, [DOWN], "lower", "better"),
        (UP, [FLAT], "higher", "sharpens"),
        (UP, [DOWN], "higher", "sharpens"),
        (DOWN, [UP], "lower", "sharpens"),
        (UP, [difference(0.0, 0.4)], "higher", "sharpens"),
        (UP, [UP, FLAT], "higher", "sharpens"),
        (DOWN, [DOWN, FLAT], "lower", "sharpens"),
        (UP, [UNKNOWN, UP], "higher", "better"),
        (UP, [UNKNOWN, SINGLE], "higher", "not held"),
        (UP, [], "higher", "not held"),
        (DOWN, [UP], "higher", "worse"),
        (FLAT, [UP], "higher", "no clear difference"),
        (UP, [DOWN], "none", "higher"),
        (SINGLE, [UP], "higher", "not known"),
    ],
)
def test_better_is_what_also_beats_the_best_free_rival(to_baseline, rivals, better, verdict):
    assert judge(to_baseline, better, rivals) == verdict


def test_only_the_best_rival_counts_not_the_least_certain_one():
    weak_and_vague, strong_and_sure = difference(-0.2, 1.8), difference(0.1, 0.3)
    assert judge(UP, "higher", [weak_and_vague, strong_and_sure]) == "better"


def test_of_equally_good_rivals_the_less_certain_one_counts():
    sure, vague = difference(0.1, 0.3), difference(-0.1, 0.5)
    for rivals in ([sure, vague], [vague, sure]):
        assert judge(UP, "higher", rivals) == "sharpens"
        assert hardest_rival(rivals, "higher") == vague
    sure, vague = difference(-0.3, -0.1), difference(-0.5, 0.1)
    assert hardest_rival([sure, vague], "lower") == vague


def test_a_free_arm_has_nothing_to_be_held_against():
    assert judge(UP, "higher", free=True) == "better"
    assert judge(DOWN, "higher", free=True) == "worse"
