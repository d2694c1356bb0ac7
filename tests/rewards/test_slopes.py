"""Centre and scale along an answer: location-aware statistics by hand, and the guard against flipped signs."""

import pytest

from spanwise.core import ConfigError, ScoringError
from spanwise.feedback import SegmentScore, SegmentScores
from spanwise.rewards import Mixture, MixtureConfig, SourceWeight, fit_slopes
from spanwise.text import Span


def said(*values):
    return SegmentScores(tuple(SegmentScore(Span(k, k + 1), value) for k, value in enumerate(values)))


def normalised(weight, *values):
    return list(Mixture(MixtureConfig(sources={"a": weight}), ["a"]).mix({"a": said(*values)}).shares["a"].values)


def test_three_short_responses():
    """Means 2 and 4 and deviations 1 and .81650 at the places .5 and 1."""
    responses = [(1.0, 3.0), (3.0, 5.0), (4.0,)]
    fit = fit_slopes([said(*values) for values in responses])
    assert (fit.center, fit.center_slope) == pytest.approx((4.0, 2.88539), abs=1e-5)
    assert (fit.scale, fit.scale_slope) == pytest.approx((0.81650, -0.26474), abs=1e-5)
    assert (fit.center_error, fit.scale_error) == pytest.approx((0.0, 0.0), abs=1e-9)
    weight = SourceWeight(
        center=fit.center, center_slope=fit.center_slope, scale=fit.scale, scale_slope=fit.scale_slope
    )
    a, b, c = (normalised(weight, *values) for values in responses)
    assert a == pytest.approx([-1.0, -1.22474], abs=1e-5)
    assert b == pytest.approx([1.0, 1.22474], abs=1e-5)
    assert c == pytest.approx([0.0], abs=1e-5)
    assert a[0] + b[0] == pytest.approx(0.0, abs=1e-9)
    assert a[1] + b[1] + c[0] == pytest.approx(0.0, abs=1e-9)


def test_published_numbers():
    """DenseReward's parameters for Phi-3-mini at a threshold of 1.75."""
    weight = SourceWeight(center=0.4705, center_slope=0.7668, scale=2.8339, scale_slope=0.2569, max_segments=1000)
    places = [0.25, 0.5, 0.75, 1.0]
    assert [weight.scale_at(place) for place in places] == pytest.approx([2.4778, 2.6558, 2.7600, 2.8339], abs=1e-4)
    assert normalised(weight, -1.0, 0.0, 1.0, 2.0) == pytest.approx([-0.1645, 0.0230, 0.2718, 0.5397], abs=1e-4)


def test_a_scale_that_could_reach_zero_is_refused():
    """Their parameters for Llama-3-SFT, which flip the sign of the first tokens of answers beyond 245 tokens."""
    values = {"center": 1.734, "center_slope": 1.3212, "scale": 5.4513, "scale_slope": 0.9906}
    weight = SourceWeight(**values, max_segments=245)
    assert weight.scale_at(1 / 245) == pytest.approx(0.00175, abs=1e-5)
    assert weight.scale_at(1 / 246) == pytest.approx(-0.00228, abs=1e-5)
    with pytest.raises(ConfigError, match=r"max_segments=246 segments is -0.00228, which would turn signs around"):
        SourceWeight.from_values({**values, "max_segments": 246}, place="test")
    with pytest.raises(ConfigError, match="needs max_segments"):
        SourceWeight.from_values(values, place="test")


def test_a_longer_answer_than_was_allowed_is_not_scored():
    config = MixtureConfig(sources={"a": SourceWeight(scale_slope=0.1, max_segments=2, missing="mask")})
    mixed = Mixture(config, ["a"]).mix({"a": said(1.0, 2.0, 3.0)})
    assert mixed.dropped is not None
    assert mixed.dropped.reason == "the answer has 3 segments, max_segments is 2"
    assert Mixture(config, ["a"]).mix({"a": said(1.0, 2.0)}).total is not None


def test_places_count_by_how_many_scores_they_have():
    fit = fit_slopes([said(1.0, 3.0), said(3.0, 5.0), said(4.0), said(0.0, 1.0, 2.0, 4.0)])
    assert (fit.center_slope, fit.center) == pytest.approx((2.95173, 3.78656), abs=1e-5)
    assert fit.center_error > 0


def test_slopes_of_too_little_are_refused():
    with pytest.raises(ScoringError, match="two scores at two places"):
        fit_slopes([said(1.0, 2.0), said(3.0)])


def test_without_slopes_the_place_changes_nothing():
    weight = SourceWeight(center=1.0, scale=2.0)
    assert normalised(weight, 1.0, 3.0, 5.0) == [0.0, 1.0, 2.0]
