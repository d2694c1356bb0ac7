"""Marks and word tags say which tokens are wrong; blanks and the closing token have no label."""

import pytest

from spanwise.feedback.edits import edit_pair
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.reward_models.data.token_labels import labels_of_edits, labels_of_spans, labels_of_tags
from spanwise.text.spans import Span

TEXT = "It is red now"


def record(*marks, marked=True):
    return FeedbackRecord(id="1", prompt="p", responses=(Response(text=TEXT, marked=marked, spans=marks),))


def test_tokens_that_touch_a_mark_are_wrong():
    (labels,), counts = labels_of_spans([record(mark(TEXT, 6, 9, "Wrong"))])
    assert [labels.of(span) for span in (Span(0, 2), Span(5, 8), Span(8, 9), Span(9, 13))] == [1.0, 0.0, 0.0, 1.0]
    assert labels.of(Span(5, 6)) is None
    assert labels.of(Span(13, 13)) is None
    assert counts["spans/marks of other categories"] == 0


def test_a_blank_within_a_mark_makes_no_token_wrong():
    (labels,), _ = labels_of_spans([record(mark(TEXT, 5, 6, "Wrong"))])
    assert labels.of(Span(5, 9)) == 1.0


def test_other_categories_and_unmarked_responses_are_counted():
    records = [record(mark(TEXT, 6, 9, "Odd")), record(marked=False)]
    labels, counts = labels_of_spans(records, TokenRewardConfig(categories=("Wrong",)))
    assert labels[0].wrong == ()
    assert len(labels) == 1
    assert counts == {"spans/marks of other categories": 1, "spans/unmarked responses": 1}


def test_tags_are_those_of_words_and_not_of_gaps():
    tags = ["BAD", "OK", "OK", "OK", "OK", "BAD", "BAD", "OK", "OK"]
    (labels,), counts = labels_of_tags([edit_pair(TEXT, "It is blue now", provenance={"tags": tags})])
    words = [Span(0, 2), Span(2, 5), Span(5, 9), Span(9, 13)]
    assert [labels.of(word) for word in words] == [1.0, 1.0, 0.0, 1.0]
    assert counts == {}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (None, "tags/pairs without tags"),
        (["OK"] * 8, "tags/tags that are not OK or BAD, 2n + 1 for n words"),
        (["OK"] * 8 + ["?"], "tags/tags that are not OK or BAD, 2n + 1 for n words"),
    ],
)
def test_unusable_tags_are_counted(tags, reason):
    provenance = {} if tags is None else {"tags": tags}
    assert labels_of_tags([edit_pair(TEXT, "It was", provenance=provenance)]) == ([], {reason: 1})


def test_edits_label_what_they_take_away_or_replace_and_nothing_else():
    pairs = [edit_pair("It is red and old.", "It is blue and old."), edit_pair("It is red.", "It is red. It is old.")]
    replaced, inserted = labels_of_edits(pairs)
    words = [Span(0, 2), Span(3, 5), Span(6, 9), Span(10, 13), Span(14, 17)]
    assert [replaced.of(word) for word in words] == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert inserted.wrong == (), "an insertion takes nothing away"
