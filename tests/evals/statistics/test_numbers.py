import pytest

from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.numbers import duration, interval, mean_and_interval, number, plain, quantity
from spanwise.evals.statistics.results import MetricInfo

SHARE = MetricInfo(label="S", unit="%")
WORDS = MetricInfo(label="W", unit="words", digits=0)
SCORE = MetricInfo(label="R")


@pytest.mark.parametrize(
    ("value", "info", "signed", "wanted"),
    [
        (0.1234, SHARE, False, "12.3"),
        (0.1234, SHARE, True, "+12.3"),
        (-0.1234, SCORE, True, "\u22120.123"),
        (-0.0001, SCORE, True, "0.000"),
        (0.0, SCORE, True, "0.000"),
        (31.6, WORDS, False, "32"),
        (None, SCORE, False, "-"),
    ],
)
def test_numbers_are_written_in_their_units(value, info, signed, wanted):
    assert number(value, info, signed=signed) == wanted


def test_a_missing_quantity_has_no_unit_and_no_interval():
    assert quantity(None, SHARE) == "-"
    assert quantity(0.5, SHARE) == "50.0 %"
    assert interval(Estimate(mean=1.0), SCORE) == ""
    assert interval(None, SCORE) == ""
    assert interval(Estimate(mean=0.0, low=-0.01, high=0.02), SHARE, signed=True) == "[\u22121.0, +2.0]"


def test_mean_and_interval_stand_together_and_a_missing_one_is_a_dash():
    assert mean_and_interval(Estimate(mean=0.5, low=0.4, high=0.6), SHARE) == "50.0 [40.0, 60.0]"
    assert mean_and_interval(Estimate(mean=0.5), SCORE) == "0.500"
    assert mean_and_interval(None, SCORE) == "-"
    assert mean_and_interval(Estimate(mean=0.5, unscored=3), SCORE) == "0.500 (3 unscored)"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.5, "0.5"),
        (1234567.0, "1,234,567"),
        (-0.00012, "\u22120.00012"),
        (0.0, "0"),
        (None, "-"),
        (3.19e-16, "0"),
        (-2e-11, "0"),
    ],
)
def test_plain_numbers(value, wanted):
    assert plain(value) == wanted


@pytest.mark.parametrize(("seconds", "wanted"), [(1.25, "1.2 s"), (61, "61 s"), (300, "5 min"), (7260, "2 h 01 min")])
def test_durations(seconds, wanted):
    assert duration(seconds) == wanted
