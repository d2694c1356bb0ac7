"""Coverage finds which passage sentences a text states, in the order of its words."""

import pytest

from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Response
from spanwise.reward_models.config import CompletenessRule
from spanwise.reward_models.data.labels import coverages, label_records, similarity

PASSAGES = (
    Passage(title="Lenn", sentences=("The bridge of Lenn was built in 1901.", "It crosses the river Orr.")),
    Passage(title="Orr", sentences=("The Orr is ninety miles long in all.", "It freezes in January every year.")),
)
BOTH = "The bridge of Lenn was built in 1901. The Orr is ninety miles long in all."


def record(correction, *texts, absent=()):
    first, *others = texts
    return FeedbackRecord(
        id="1",
        prompt="When?",
        passages=PASSAGES,
        responses=(
            Response(text=first, marked=True, correction=correction, missing=absent),
            *(Response(text=text) for text in others),
        ),
    )


def test_a_response_covers_its_share_of_what_the_correction_states():
    found = record(BOTH, "The bridge of Lenn was built in 1901.", BOTH, "I do not know anything at all.", "")
    assert coverages(found, threshold=0.85) == [0.5, 1.0, 0.0, 0.0]


def test_small_changes_still_match_and_what_was_not_needed_does_not_count():
    found = record(BOTH, "the bridge of Lenn was built in 1903. It freezes in January every year.")
    assert coverages(found, threshold=0.85) == [0.5]


def test_a_minor_point_is_not_needed_unless_the_response_had_said_it():
    minor = (MissingInfo(category="Missing-Minor-Auxiliary", evidence=Evidence(passage=1, sentences=(0,))),)
    without = record(BOTH, "The bridge of Lenn was built in 1901.", absent=minor)
    assert coverages(without, threshold=0.85, overlook=("Missing-Minor-Auxiliary",)) == [1.0]
    said = record(BOTH, "The Orr is ninety miles long in all.", absent=minor)
    assert coverages(said, threshold=0.85, overlook=("Missing-Minor-Auxiliary",)) == [0.5]


@pytest.mark.parametrize("correction", [None, "", "Nothing of this stands in any passage."])
def test_without_a_usable_correction_nothing_is_known(correction):
    found = record(correction, BOTH, "")
    assert coverages(found, threshold=0.85) is None
    labelled, counts = label_records([found], spans={}, completeness=CompletenessRule(), preference=False)
    assert labelled[0].pairs["completeness"] == ()
    assert counts == {"completeness/records without a correction that the passages cover": 1}


def test_pairs_by_coverage_put_the_fuller_response_first():
    found = record(BOTH, "I do not know anything at all.", BOTH, "The bridge of Lenn was built in 1901.")
    labelled, counts = label_records([found], spans={}, completeness=CompletenessRule(), preference=False)
    assert {(pair.better, pair.worse) for pair in labelled[0].pairs["completeness"]} == {(1, 0), (2, 0), (1, 2)}
    assert counts == {}


def test_order_matters_where_a_bag_of_characters_would_not_tell():
    assert similarity("was built in 1901", "the bridge was built in 1901 by hand") == 1.0
    assert similarity("1091 ni tliub saw", "the bridge was built in 1901 by hand") < 0.6


def test_a_piece_is_not_stated_by_a_short_sentence_within_it():
    assert similarity("it crosses the river and everything else there is", "it crosses") < 0.5
