import re
import xml.etree.ElementTree as ElementTree

import pytest

from spanwise.evals.report.plots import (
    Line,
    Row,
    curve_plot,
    differences_plot,
    estimates_plot,
    mean_curve,
    reliability_plot,
)
from spanwise.evals.report.svg import inline_svg, shortened, thinned
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.results import MetricInfo, ReliabilityBin

SHARE = MetricInfo(label="S", unit="%", better="lower")


def drawn(figure, name="p"):
    svg = inline_svg(figure, name, 'a "picture" & <more>')
    ElementTree.fromstring(svg.replace("xlink:href", "href"))  # raises where the SVG is not well-formed
    return svg


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_gap_in_a_curve_stays_a_gap():
    figure = curve_plot([Line(0, (((1, 0.1), (2, 0.2), (3, None), (4, 0.4), (5, 0.3)),))])
    x, y = figure.axes[0].lines[0].get_data()
    assert list(x) == [1, 2, 3, 4, 5]
    assert [value != value for value in y] == [False, False, True, False, False]


def test_the_mean_over_seeds_is_of_those_that_have_a_value():
    assert mean_curve((((1, 1.0), (2, None)), ((1, 3.0), (2, 5.0)), ((3, None),))) == ((1, 2.0), (2, 5.0), (3, None))


def test_plots_take_every_colour_from_the_page_and_keep_text_as_text():
    bins = (
        ReliabilityBin(confidence=0.2, accuracy=0.3, count=4),
        ReliabilityBin(confidence=0.8, accuracy=0.7, count=0),
    )
    row = Row("An arm", Estimate(mean=0.2, low=0.1, high=0.3, per_seed=(0.1, 0.3)), "better", 1)
    figures = [
        curve_plot([Line(9, (((0, 1.0),),))]),
        estimates_plot([row, Row("other", None)], SHARE),
        differences_plot([row], SHARE),
        reliability_plot(bins),
    ]
    for figure in figures:
        svg = drawn(figure)
        assert "#0" not in svg.replace("url(#", "").replace('href="#', "")
        assert "var(--" in svg
        assert texts(svg)
        assert 'role="img" aria-label="a &quot;picture&quot; &amp; &lt;more&gt;"' in svg


def test_intervals_are_drawn_where_they_are_and_missing_arms_say_so():
    figure = estimates_plot([Row("An arm", Estimate(mean=0.2, low=0.1, high=0.3)), Row("other", None)], SHARE)
    lines = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert [10.0, 30.0] in [pytest.approx(line) if len(line) == 2 else line for line in lines]
    assert "other \N{EN DASH} not run" in texts(drawn(figure))


def test_zero_is_on_every_plot_of_differences():
    row = Row("d", Estimate(mean=0.5, low=0.4, high=0.6), "worse")
    low, high = differences_plot([row], SHARE).axes[0].get_xlim()
    assert low < 0 < high


def test_labels_of_users_are_neither_markup_nor_formulas():
    hostile = "<script>$x_1$ \u202e & \U0001f600 \u5317"
    svg = drawn(estimates_plot([Row(hostile, Estimate(mean=0.1))], SHARE))
    assert "<script>" not in svg
    assert any("$x_1$" in text for text in texts(svg))


def test_ids_of_two_plots_on_one_page_differ():
    figure = curve_plot([Line(0, (((0, 1.0), (1, 2.0)),))])
    first, second = (set(re.findall(r' id="([^"]*)"', drawn(figure, name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_the_same_figure_is_the_same_text():
    line = [Line(0, (((0, 1.0), (1, 2.0)),))]
    assert drawn(curve_plot(line)) == drawn(curve_plot(line))


@pytest.mark.parametrize("count", [1, 299, 300, 301, 5000])
def test_thinning_keeps_both_ends_and_bounds_the_points(count):
    points = [(float(i), 1.0) for i in range(count)]
    kept = thinned(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert len(kept) <= min(count, 301)


def test_long_labels_are_cut_with_an_ellipsis():
    assert shortened("short", 10) == "short"
    assert shortened("a label that is long", 10) == "a label t\u2026"
