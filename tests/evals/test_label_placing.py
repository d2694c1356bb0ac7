import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.evals.estimate import Estimate
from spanwise.evals.label_placing import Box, place_labels
from spanwise.evals.pareto_plot import PlacedSetting, trade_off_plot
from spanwise.evals.results import MetricInfo

FRAME = Box(0, 0, 400, 300)
SPOTS = st.tuples(st.floats(60, 340), st.floats(60, 240))


@settings(deadline=None, max_examples=40)
@given(st.lists(SPOTS, min_size=1, max_size=8))
def test_labels_hide_neither_each_other_nor_a_point_and_stay_in_the_frame(points):
    placed = place_labels(points, [(40.0, 9.0)] * len(points), frame=FRAME, radius=4.0)
    boxes = [one.box for one in placed]
    assert all(first.shared(second) == 0 for first, second in itertools.combinations(boxes, 2))
    assert all(box.shared(Box(x - 4, y - 4, x + 4, y + 4)) == 0 for box in boxes for x, y in points)
    assert all(abs(box.shared(FRAME) - box.area) < 1e-6 for box in boxes)


def test_a_lone_label_stands_beside_its_point_and_leaves_a_bar_free():
    (free,) = place_labels([(200, 150)], [(40, 9)], frame=FRAME, radius=4)
    assert not free.far
    assert free.box.left > 200
    assert free.box.bottom > 150
    across = Box(204, 154, 400, 165)
    (moved,) = place_labels([(200, 150)], [(40, 9)], frame=FRAME, radius=4, bars=[across])
    assert moved.box.shared(across) == 0


def test_the_labels_of_a_crowded_plot_do_not_overlap():
    crowd = [
        PlacedSetting(f"{number}% high", Estimate(mean=0.2 + number / 1000), Estimate(mean=0.5)) for number in range(8)
    ]
    share = MetricInfo(label="S", unit="%", better="higher")
    figure = trade_off_plot([crowd[:4], crowd[4:]], share, share)
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    assert {text.get_text() for text in texts} == {one.label for one in crowd}
    extents = [text.get_window_extent() for text in texts]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(extents, 2))
