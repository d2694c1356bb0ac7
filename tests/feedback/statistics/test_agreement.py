import math

import numpy as np
import pytest
from doubles.feedback import real_records
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask

from spanwise.feedback.schema import FeedbackRecord, Preference, Response, mark
from spanwise.feedback.statistics import agreement
from spanwise.feedback.statistics.agreement import (
    Marked,
    alpha,
    coincidences,
    f1,
    iou,
    match_spans,
    measure,
    pooled_alpha,
)
from spanwise.text.spans import Span

N = None
FOUR_CODERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]  # fmt: skip
PUBLISHED = [
    (["0100000010", "1110010000"], "nominal", 0.095),  # Krippendorff 2011, example A
    (["aabbdcccedda", "babbbcccedd" + "d"], "nominal", 0.692),  # example B
    (FOUR_CODERS, "nominal", 0.743),  # example C, with missing values
    (FOUR_CODERS, "ordinal", 0.815),
    (FOUR_CODERS, "interval", 0.849),
]


def _matrix(coders):
    values = sorted({value for row in coders for value in row if value is not None})
    units = [[None if value is None else values.index(value) for value in unit] for unit in zip(*coders, strict=True)]
    return coincidences(units, len(values))


@pytest.mark.parametrize(("coders", "level", "expected"), PUBLISHED)
def test_published_alphas(coders, level, expected):
    assert alpha(_matrix(coders), level) == pytest.approx(expected, abs=5e-4)


@settings(deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 2), min_size=n, max_size=n), min_size=2, max_size=12)
    )
)
def test_alpha_is_that_of_nltk(units):
    found = alpha(coincidences(units, 3))
    values = {value for unit in units for value in unit}
    if len(values) == 1:
        assert found is None
        return
    task = AnnotationTask([(str(c), str(u), v) for u, unit in enumerate(units) for c, v in enumerate(unit)])
    assert found == pytest.approx(task.alpha(), abs=1e-9)


def test_perfect_agreement_is_one_and_what_is_not_defined_has_a_reason():
    assert alpha(coincidences([[0, 0], [1, 1]], 2)) == 1.0
    assert pooled_alpha([coincidences([[0, 0]] * 9, 2)], 9).value is None
    assert "same" in pooled_alpha([coincidences([[0, 0]] * 9, 2)], 9).reason
    assert "nobody" in pooled_alpha([], 0).reason


def test_the_interval_holds_the_value_and_narrows_with_more_items():
    random = np.random.default_rng(1)
    drawn = [
        [[int(v), int(v if random.random() < 0.8 else 1 - v)] for v in random.integers(0, 2, 5)] for _ in range(200)
    ]
    few, many = (pooled_alpha([coincidences(u, 2) for u in drawn[:n]], 5 * n) for n in (20, 200))
    for found in (few, many):
        assert found.low < found.value < found.high
    assert many.high - many.low < few.high - few.low


def test_one_item_has_no_interval_however_many_units_it_has():
    judged, empty = coincidences([[0, 0], [1, 1], [0, 1]] * 9, 2), coincidences([], 2)
    for items in ([judged], [judged, empty]):
        found = pooled_alpha(items, 27)
        assert found.value is not None
        assert (found.low, found.high) == (None, None)


def test_intersection_over_union_by_characters():
    assert iou(Span(0, 10), Span(5, 15)) == pytest.approx(1 / 3)
    assert iou(Span(0, 10), Span(10, 20)) == 0
    assert iou(Span(3, 3), Span(3, 3)) == 0


marked = st.builds(
    lambda start, size, kind: Marked(Span(start, start + size), kind),
    st.integers(0, 30), st.integers(1, 10), st.sampled_from("ab"),
)  # fmt: skip


@given(st.lists(marked, max_size=6), st.lists(marked, max_size=6), st.sampled_from([0.0, 0.5, 1.0]))
def test_matches_use_each_span_once_and_only_where_they_fit(first, second, at_least):
    pairs = match_spans(first, second, at_least=at_least)
    for side in zip(*pairs, strict=True):
        assert len(side) == len(set(side))
    for i, j in pairs:
        assert first[i].category == second[j].category
        assert iou(first[i].span, second[j].span) >= max(at_least, 1e-12)
    free = set(range(len(first))) - {i for i, _ in pairs}
    unused = set(range(len(second))) - {j for _, j in pairs}
    assert not [
        (i, j)
        for i in free
        for j in unused
        if first[i].category == second[j].category and iou(first[i].span, second[j].span) >= max(at_least, 1e-12)
    ]


@given(st.lists(marked, max_size=8), st.lists(marked, max_size=8), st.sampled_from([0.0, 0.5, 1.0]))
def test_matches_are_those_of_comparing_every_span_with_every_other(first, second, at_least):
    shares = {(i, j): iou(a.span, b.span) for i, a in enumerate(first) for j, b in enumerate(second)}
    fitting = {
        (i, j): share
        for (i, j), share in shares.items()
        if first[i].category == second[j].category and share >= max(at_least, 1e-12)
    }
    expected = []
    while fitting:
        i, j = min(fitting, key=lambda pair: (-fitting[pair], pair))
        expected.append((i, j))
        fitting = {pair: share for pair, share in fitting.items() if pair[0] != i and pair[1] != j}
    assert match_spans(first, second, at_least=at_least) == sorted(expected)


def test_matching_costs_as_much_as_the_spans_are_many(monkeypatch):
    asked = []
    monkeypatch.setattr(agreement, "iou", lambda a, b: asked.append(0) or iou(a, b))
    for count in (100, 800):
        marks = [Marked(Span(10 * n, 10 * n + 8), "a") for n in range(count)]
        asked.clear()
        assert len(match_spans(marks, marks)) == count
        assert len(asked) <= 3 * count


TEXT = "One two three four five. Six seven eight nine ten."


def _record(who, *spans, prefers=None, correction=None):
    marks = tuple(mark(TEXT, start, end, kind) for start, end, kind in spans)
    preferences = (Preference(first=0, second=1, winner=prefers),) if prefers else ()
    first = Response(text=TEXT, marked=True, spans=marks, correction=correction)
    return FeedbackRecord(
        id=f"i#{who}", prompt="?", responses=(first, Response(text="x")), annotator=who, preferences=preferences
    )


def test_the_panel_by_hand():
    """Two people, two sentences: they agree on the first, one of them marks the second."""
    items = [[_record("a", (0, 24, "X")), _record("b", (0, 14, "X"), (25, 30, "X"))]]
    found = measure(items, {"X": "sentence"})
    assert (found.items, found.annotators) == (1, ("a", "b"))
    # coincidences of (1,1) and (0,1): o = 1 disagreement pair; by hand alpha = 1 - 3 * 2 / (2 * 3 * 1)
    assert found.categories[0].alpha.value == pytest.approx(0.0)
    assert found.categories[0].alpha.units == 2
    assert found.spans.f1 == pytest.approx(2 / 3)
    assert found.spans.exact_f1 == 0.0
    assert found.spans.detection == pytest.approx(2 / 3)
    assert found.spans.boundary == pytest.approx(14 / 24)


def test_people_who_found_no_error_count():
    """Leaving out empty annotations would make this agreement perfect."""
    agreeing = [[_record("a", (0, 24, "X")), _record("b", (0, 24, "X"))] for _ in range(5)]
    silent = [[_record("a", (0, 24, "X")), _record("b")] for _ in range(5)]
    found = measure([*agreeing, *silent], {"X": "sentence"})
    assert found.categories[0].alpha.value < 0.6
    assert found.spans.f1 == pytest.approx(10 / 15)


def test_preferences_are_compared_whichever_was_shown_first():
    turned = _record("b").model_copy(update={"preferences": (Preference(first=1, second=0, winner="second"),)})
    found = measure(
        [[_record("a", prefers="first"), turned], [_record("a", prefers="tie"), _record("b", prefers="second")]], {}
    )
    assert found.preferences.same == 0.5
    assert found.preferences.alpha.units == 2


def test_edits_are_compared_by_the_words_they_touch():
    changed = TEXT.replace("two", "2"), TEXT.replace("two", "zwei").replace("nine", "9")
    found = measure([[_record("a", correction=changed[0]), _record("b", correction=changed[1])]], {})
    assert found.edits == pytest.approx(2 / 3)


def test_nothing_to_compare_is_none_everywhere():
    found = measure([[_record("a")]], {"X": "sentence"}).as_dict()
    assert found["items"] == 0
    assert [found["evidence"], found["edits"], found["spans"]["f1"], found["preferences"]["same"]] == [None] * 4
    assert found["categories"][0]["alpha"]["value"] is None
    assert f1(0, 0, 0) is None


def _second(record, random, change):
    """The record as another annotator would have made it."""
    first = record.responses[0]
    spans = change(record, first.spans, random)
    again = first.model_copy(update={"spans": tuple(spans)})
    return record.model_copy(update={"responses": (again, *record.responses[1:]), "annotator": "b"})


def _misses(_, spans, random):
    return [span for span in spans if random.random() > 0.3]


def _empties(_, spans, random):
    return [] if random.random() < 0.4 else list(spans)


@pytest.mark.parametrize(("change", "low", "high"), [(_misses, 0.70, 0.88), (_empties, 0.62, 0.80)])
def test_simulated_annotators_on_real_marks_are_within_the_studied_bounds(change, low, high):
    """Mean alpha of the four larger categories for an annotator who misses 30 % of spans, or leaves 40 % of items."""
    random = np.random.default_rng(0)
    items = [[record, _second(record, random, change)] for record in real_records()[:200]]
    names = ("Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable")
    levels = dict.fromkeys(names, "sentence")
    found = [row.alpha.value for row in measure(items, levels, resamples=50).categories]
    assert not any(math.isnan(value) for value in found)
    assert low < sum(found) / 4 < high
