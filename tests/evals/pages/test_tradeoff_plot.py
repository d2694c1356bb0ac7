"""The labels in the picture of a trade-off: none hides another or a point, and all lie inside the picture."""

import itertools

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from spanwise.evals.pages.tradeoff_plot import PlacedSetting, label_heights, trade_off_plot
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.results import MetricInfo

RADIUS = 4.0
"""Of a drawn point with its edge, in points of type."""
A_LABEL_APART = [(0, 0), (1, 1), (0.4, 0.4), (0.572, 0.403)]
"""Two points just so far from each other that a label between them would reach into the second."""
POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


def picture(points):
    """The drawn figure of points with settings named "0% high", "1% high" and so on."""
    named = [PlacedSetting(f"{place}% high", Estimate(mean=x), Estimate(mean=y)) for place, (x, y) in enumerate(points)]
    share = MetricInfo(label="S", unit="%", better="higher")
    figure = trade_off_plot([named[::2], named[1::2]], share, share)
    figure.draw_without_rendering()
    return figure


@settings(max_examples=10)
@given(POINTS)
@example(A_LABEL_APART)
@example([(place / 1000, 0.5) for place in range(8)])
@example([(0.3, 0.3)] * 40)
def test_labels_hide_neither_each_other_nor_a_point_and_stay_in_the_picture(points):
    figure = picture(points)
    (axes,) = figure.axes
    texts = [text for text in axes.texts if text.get_text()]
    assert {text.get_text() for text in texts} == {f"{place}% high" for place in range(len(points))}
    labels = [Text.get_window_extent(text) for text in texts]
    radius = RADIUS * figure.dpi / 72
    drawn = [Bbox([centre - radius, centre + radius]) for centre in axes.transData.transform(np.array(points) * 100)]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(labels, 2))
    assert not any(label.overlaps(point) for label in labels for point in drawn)
    assert not any(
        label.x0 < 0 or label.y0 < 0 or label.x1 > figure.bbox.x1 or label.y1 > figure.bbox.y1 for label in labels
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).map(np.array))
def test_labels_stand_in_the_order_of_their_points_and_a_gap_apart(wanted):
    heights = label_heights(wanted, 0.05)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(heights[order]) >= 0.05 - 1e-9).all()
    assert heights.min() >= 0
    assert heights.max() <= 1 + 1e-9


def test_labels_with_room_stay_at_their_points_and_crowded_ones_move_as_little_as_can_be():
    np.testing.assert_allclose(label_heights(np.array([0.9, 0.1, 0.5]), 0.1), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(label_heights(np.array([0.5, 0.5, 0.9]), 0.1), [0.45, 0.55, 0.9])
    np.testing.assert_allclose(label_heights(np.array([1.0, 1.0, 1.0]), 0.1), [0.8, 0.9, 1.0])
    np.testing.assert_allclose(label_heights(np.array([0.2, 0.2, 0.2]), 0.9), [0.0, 0.5, 1.0])


def test_settings_that_could_not_be_scored_are_not_drawn():
    share = MetricInfo(label="S", unit="%", better="higher")
    unscored = PlacedSetting("lost", Estimate(mean=None), Estimate(mean=0.5))
    for groups, labels in (([[unscored]], []), ([[unscored, PlacedSetting("kept", unscored.y, unscored.y)]], ["kept"])):
        (axes,) = trade_off_plot(groups, share, share).axes
        assert [text.get_text() for text in axes.texts] == labels
