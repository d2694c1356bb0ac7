"""Labels follow the paper's rules on examples worked out by hand; what gets no label is counted."""

from collections import Counter

import pytest

from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, mark
from spanwise.reward_models.config import CompletenessRule, FactualityRule, RelevanceRule, SpanRule
from spanwise.reward_models.data.labels import Pair, completeness_pairs, label_records, label_segments, preference_pairs
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

FIRST = "The bridge of Lenn was built in 1901. "
SECOND = "It is painted green every four years by hand. "
THIRD = "The mayor opened it."
TEXT = FIRST + SECOND + THIRD
SENTENCES = (Span(0, 38), Span(38, 84), Span(84, 104))


def response(*marks, text=TEXT):
    """A marked response; each mark is a quote of the text and a category."""
    places = [(text.index(quote), quote, category) for quote, category in marks]
    spans = [mark(text, start, start + len(quote), category) for start, quote, category in sorted(places)]
    return Response(text=text, marked=True, spans=tuple(spans))


def sentence_labels(marked, rule):
    labels = label_segments(marked, rule, get_segmenter("sentence"))
    assert tuple(label.span for label in labels) == SENTENCES
    return [label.correct for label in labels]


def test_factuality_takes_errors_then_ignores_unchecked_sentences_then_calls_the_rest_right():
    marked = response(("1901", "Wrong-Grounding"), ("is painted green every four", "Irrelevant"))
    assert sentence_labels(marked, FactualityRule()) == [0.0, None, 1.0]


def test_an_irrelevant_span_below_five_words_does_not_make_a_sentence_unknown():
    assert sentence_labels(response(("is painted green every", "Irrelevant")), FactualityRule()) == [1.0, 1.0, 1.0]


def test_an_error_counts_even_where_the_sentence_is_irrelevant_too():
    marked = response(("is painted green every four", "Redundant"), ("years", "Unverifiable"))
    assert sentence_labels(marked, FactualityRule()) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(("quote", "first"), [("of Lenn was built", 1.0), ("bridge of Lenn was built", 0.0)])
def test_relevance_overlooks_spans_below_five_words(quote, first):
    rule = RelevanceRule(density="sentence")
    assert sentence_labels(response((quote, "Irrelevant")), rule) == [first, 1.0, 1.0]
    assert sentence_labels(response((quote, "Irrelevant")), RelevanceRule(min_span_words=0)) == [0.0, 1.0, 1.0]


def test_relevance_judges_sub_sentences_and_facts_do_not_touch_it():
    text = "The bridge of Lenn was built in 1901, and it is painted green every four years."
    marked = response(("it is painted green every four years", "Irrelevant"), ("1901", "Wrong-Grounding"), text=text)
    labels = label_segments(marked, RelevanceRule(), get_segmenter(RelevanceRule().density))
    assert [(label.span.of(text), label.correct) for label in labels] == [
        ("The bridge of Lenn was built in 1901, ", 1.0),
        ("and it is painted green every four years.", 0.0),
    ]


def test_white_space_at_the_edge_of_a_span_touches_nothing():
    marked = Response(text=TEXT, marked=True, spans=(mark(TEXT, 38, 85, "Irrelevant"),))
    assert TEXT[84] == "T"
    assert sentence_labels(marked, RelevanceRule()) == [1.0, 0.0, 0.0]
    blank_end = Response(text=TEXT, marked=True, spans=(mark(TEXT, 37, 84, "Irrelevant"),))
    assert sentence_labels(blank_end, RelevanceRule()) == [1.0, 0.0, 1.0]


def test_soft_labels_are_the_share_of_characters_not_covered_counted_once():
    marked = Response(text=TEXT, marked=True, spans=(mark(TEXT, 0, 20, "Irrelevant"), mark(TEXT, 10, 30, "Redundant")))
    soft = RelevanceRule(min_span_words=0, soft=True)
    assert sentence_labels(marked, soft)[0] == pytest.approx(1 - 30 / len(FIRST.strip()))
    assert sentence_labels(marked, soft)[1:] == [1.0, 1.0]


def test_a_segment_may_need_more_than_a_touch_to_be_wrong():
    marked = response(("The bridge", "Irrelevant"), ("The mayor opened", "Irrelevant"))
    rule = RelevanceRule(min_span_words=0, min_coverage=0.5)
    assert sentence_labels(marked, rule) == [1.0, 1.0, 0.0]


def test_unmarked_responses_are_unknown_and_all_ignored_ones_are_dropped_and_counted():
    record = FeedbackRecord(
        id="1",
        prompt="When?",
        responses=(
            Response(text=TEXT),
            response((TEXT, "Irrelevant")),
            response(("1901", "Wrong-Grounding"), ("opened", "Typo")),
        ),
    )
    labelled, counts = label_records(
        [record], spans={"relevance": RelevanceRule(), "factuality": FactualityRule()}, preference=False
    )
    assert set(labelled[0].segments["relevance"]) == {1, 2}
    assert set(labelled[0].segments["factuality"]) == {2}
    assert counts == {
        "relevance/unmarked responses": 1,
        "factuality/unmarked responses": 1,
        "factuality/ignored segments": 3,
        "factuality/responses without a labelled segment": 1,
        "spans/Typo used by no head": 1,
    }


def test_a_blank_response_has_no_segments_to_label():
    assert label_segments(Response(text=" \n", marked=True), SpanRule(), get_segmenter("sentence")) == ()


def missing(*categories):
    return tuple(MissingInfo(category=name, evidence=Evidence(passage=0, sentences=(0,))) for name in categories)


def test_completeness_counts_what_is_missing_but_for_minor_points():
    record = FeedbackRecord(
        id="1",
        prompt="When?",
        passages=(Passage(title="Lenn", sentences=("Built in 1901.",)),),
        responses=(
            Response(text="a", marked=True, missing=missing("Missing-Answer", "Missing-Major-Auxiliary")),
            Response(text="b", marked=True, missing=missing("Missing-Answer", "Missing-Minor-Auxiliary")),
            Response(text="c", marked=True, missing=missing("Missing-Answer")),
            Response(text="d", marked=True),
        ),
    )
    counts = Counter()
    pairs = completeness_pairs(record, CompletenessRule(), counts)
    assert {(pair.better, pair.worse) for pair in pairs} == {(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)}
    assert counts["ties"] == 1
    assert all(pair.better_first is None for pair in pairs)


def test_unmarked_responses_take_part_in_no_pair_of_missing_information():
    record = FeedbackRecord(id="1", prompt="When?", responses=(Response(text="a", marked=True), Response(text="b")))
    counts = Counter()
    assert completeness_pairs(record, CompletenessRule(source="missing"), counts) == ()
    assert counts["unmarked responses"] == 1


def test_preferences_keep_which_response_was_listed_first_and_drop_ties():
    record = FeedbackRecord(
        id="1",
        prompt="When?",
        responses=(Response(text="a"), Response(text="b"), Response(text="c")),
        preferences=(
            Preference(first=0, second=1, winner="first"),
            Preference(first=0, second=2, winner="second"),
            Preference(first=1, second=2, winner="tie"),
        ),
    )
    counts = Counter()
    assert preference_pairs(record, counts) == (Pair(0, 1, better_first=True), Pair(2, 0, better_first=False))
    assert counts["ties"] == 1
