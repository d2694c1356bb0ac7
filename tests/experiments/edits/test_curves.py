"""An arm that goes far off leaves the picture, says so, and leaves the others their room."""

import pytest

from experiments.edits.curves import band_of, curve_panels, leaving, said_of_leaving

LABELS = {"a": "Arm a", "b": "Arm b", "c": "Arm c", "far": "An arm that collapses"}
CALM = {
    "a": ({0: 0.0, 2: 0.1, 4: 0.2}, {0: 0.0, 2: 0.3, 4: 0.4}),
    "b": ({0: 0.0, 2: 0.2, 4: 0.5}, {0: 0.0, 2: 0.2, 4: 0.5}),
    "c": ({0: 0.0, 2: 0.0, 4: -0.1}, {0: 0.0, 2: 0.0, 4: -0.1}),
}


def bands(**more):
    return {arm: band_of(curves) for arm, curves in (CALM | more).items()}


def far(end):
    return ({0: 0.0, 2: end / 2, 4: end}, {0: 0.0, 2: end / 2, 4: end})


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_band_is_the_mean_with_students_interval_over_seeds_at_shared_steps():
    band = band_of(({0: 1.0, 2: 2.0, 4: 9.0}, {0: 1.0, 2: 4.0}))
    assert list(band) == [0, 2]
    assert band[2].mean == 3.0
    assert band[2].high - band[2].mean == pytest.approx(12.7062, rel=1e-4)  # t of one degree of freedom, error 1
    assert band[0].low == band[0].high == 1.0
    assert band_of(({0: 1.5},))[0].low is None


@pytest.mark.parametrize(("end", "gone"), [(-9.0, True), (30.0, True), (-0.2, False)])
def test_the_arm_that_would_squash_the_others_leaves_and_is_named(end, gone):
    found = bands(far=far(end))
    figure = curve_panels(found, LABELS, title="Score", baseline="b")
    (low, high), *rest = {axes.get_ylim() for axes in figure.axes[: len(found)]}
    assert not rest, "all panels have the same axes"
    assert (low < end < high) is not gone
    assert low < -0.1 < 0.5 < high
    assert leaving(found) == ("far",) * gone
    assert len(texts(figure)) == gone
    said = said_of_leaving(found, LABELS)
    if gone:
        number = f"{end:g}".replace("-", "\N{MINUS SIGN}")
        assert f"ends at {number}" in texts(figure)[0].replace("\n", " ")
        assert f"An arm that collapses (ends at {number})" in said
    else:
        assert said == ""


def test_two_of_six_arms_may_leave_but_never_one_of_two():
    assert leaving(bands(d=CALM["b"], far=far(-50.0), further=far(300.0))) == ("further", "far")
    assert leaving({"a": band_of(CALM["a"]), "far": band_of(far(-9.0))}) == ()


def test_the_baseline_is_behind_every_arm_and_one_seed_has_no_band():
    one = {arm: band_of(curves[:1]) for arm, curves in CALM.items()}
    figure = curve_panels(one, LABELS, title="Score", baseline="b")
    for axes, (arm, curves) in zip(figure.axes, CALM.items(), strict=False):
        baseline, own = axes.lines
        assert list(baseline.get_ydata()) == list(CALM["b"][0].values())
        assert list(own.get_ydata()) == list(curves[0].values()), arm
        assert not axes.collections
