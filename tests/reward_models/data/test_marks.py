"""Praise is never wrong, severities weigh what the config says, and what it does not say is refused with the line."""

import pytest

from spanwise.core import ConfigError
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.reward_models.config import FactualityRule, RelevanceRule, SpanRule, TokenRewardConfig
from spanwise.reward_models.data.labels import label_records
from spanwise.reward_models.data.token_labels import labels_of_spans
from spanwise.text import Span

TEXT = "The bridge of Lenn was built in 1901. It is painted green every four years by hand."


def record(*marks):
    """A marked response; each mark is (quote, category, further fields)."""
    spans = tuple(mark(TEXT, TEXT.index(q), TEXT.index(q) + len(q), c, **more) for q, c, more in marks)
    return FeedbackRecord(id="1", prompt="p", responses=(Response(text=TEXT, marked=True, spans=spans),))


def labels(found, **rules):
    ((labelled,), _) = label_records([found], spans=rules, preference=False)
    return {head: [label.correct for label in labelled.segments[head][0]] for head in rules}


PRAISE = {"polarity": "positive"}


def test_praise_is_written_only_where_it_is_and_comes_back():
    plain, praised = record(("1901", "Wrong", {})), record(("1901", "Good", PRAISE | {"severity": "very"}))
    assert "polarity" not in plain.model_dump_json()
    assert "severity" not in plain.model_dump_json()
    again = FeedbackRecord.model_validate_json(praised.model_dump_json())
    assert again == praised
    assert not again.responses[0].spans[0].blames


@pytest.mark.parametrize("category", ["Good", "Wrong"])
def test_a_praised_span_is_never_wrong(category):
    """Not even where the category is one that makes segments wrong."""
    rule = SpanRule(categories=("Wrong",), praise_categories=(category,))
    assert labels(record(("1901", category, PRAISE)), custom=rule) == {"custom": [1.0, 1.0]}
    config = TokenRewardConfig(praise_categories=(category,))
    ((found,), counts) = labels_of_spans([record(("1901", category, PRAISE))], config)
    start = TEXT.index("1901")
    assert (found.of(Span(start, start + 4)), found.wrong, counts["spans/marks of other categories"]) == (1.0, (), 0)


def test_a_praised_beginning_leaves_no_token_wrong():
    text = "Good start, bad end."
    praised = (mark(text, 0, 10, "Style", polarity="positive"),)
    found = FeedbackRecord(id="1", prompt="p", responses=(Response(text=text, marked=True, spans=praised),))
    ((labelled,), _) = labels_of_spans([found], TokenRewardConfig(praise_categories=("Style",)))
    assert labelled.wrong == ()
    assert labelled.of(Span(0, 4)) == labelled.of(Span(12, 15)) == 1.0
    with pytest.raises(ConfigError, match="praise"):
        labels_of_spans([found])


def test_praise_tells_what_an_unchecked_segment_is():
    marks = ("is painted green every four", "Irrelevant", {}), ("by hand", "Good", PRAISE)
    assert labels(record(*marks[:1]), factuality=FactualityRule()) == {"factuality": [1.0, None]}
    rule = FactualityRule(praise_categories=("Good",))
    assert labels(record(*marks), factuality=rule) == {"factuality": [1.0, 1.0]}


def test_praise_of_which_the_config_says_nothing_is_refused_with_the_line():
    found = record(("1901", "Good", PRAISE))
    with pytest.raises(ConfigError, match=r"Good \(1\) praise.*`relevance: \{praise_categories: \[Good\]\}`"):
        labels(found, relevance=RelevanceRule())
    with pytest.raises(ConfigError, match=r"`custom: \{mine: \{praise_categories: \[Good\]\}\}`"):
        labels(found, mine=SpanRule(categories=("Wrong",)))
    with pytest.raises(ConfigError, match=r"`praise_categories: \[Good\]`"):
        labels_of_spans([found], TokenRewardConfig())


def test_severities_weigh_what_the_config_says():
    weights = {"minor": 0.25, "major": 1.0}
    found = record(("1901", "Wrong", {"severity": "minor"}), ("green", "Wrong", {"severity": "major"}))
    rule = SpanRule(categories=("Wrong",), severity_weights=weights)
    assert labels(found, mine=rule) == {"mine": [0.75, 0.0]}
    soft = labels(found, mine=rule.model_copy(update={"soft": True}))["mine"]
    assert soft == pytest.approx([1 - 0.25 * 4 / 37, 1 - 5 / 45])
    ((of_tokens,), _) = labels_of_spans([found], TokenRewardConfig(severity_weights=weights))
    assert [of_tokens.of(Span(TEXT.index(word), TEXT.index(word) + 4)) for word in ("1901", "green", "hand")] == [
        0.75, 0.0, 1.0,
    ]  # fmt: skip


def test_of_two_marks_on_one_place_the_graver_counts():
    found = record(("built in 1901", "Wrong", {"severity": "minor"}), ("1901", "Wrong", {}))
    rule = SpanRule(categories=("Wrong",), severity_weights={"minor": 0.5}, soft=True)
    assert labels(found, mine=rule)["mine"][0] == pytest.approx(1 - (4 + 0.5 * 9) / 37)
    assert labels(found, mine=rule.model_copy(update={"soft": False}))["mine"][0] == 0.0


def test_severities_of_which_the_config_says_nothing_are_refused_with_the_line():
    found = record(("1901", "Irrelevant", {"severity": "major"}), ("green", "Other", {"severity": "odd"}))
    with pytest.raises(ConfigError, match=r"severity major \(1\).*`relevance: \{severity_weights: \{major: 1.0\}\}`"):
        labels(found, relevance=RelevanceRule())
    with pytest.raises(ConfigError, match=r"`severity_weights: \{major: 1.0, odd: 1.0\}`"):
        labels_of_spans([found], TokenRewardConfig())
    assert labels(found, mine=SpanRule(categories=("Wrong",))) == {"mine": [1.0, 1.0]}


def test_the_hand_example_of_praise():
    text = "Good start, bad end."
    praised = FeedbackRecord(
        id="1", prompt="p", responses=(Response(text=text, marked=True, spans=(mark(text, 0, 10, "Good", **PRAISE),)),)
    )
    ((found,), _) = labels_of_spans([praised], TokenRewardConfig(praise_categories=("Good",)))
    assert [found.of(Span(start, end)) for start, end in ((0, 4), (5, 10), (12, 15), (16, 20))] == [1.0] * 4
