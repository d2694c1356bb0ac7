"""On the real marks the labels come out as the published processing of the same file did (wu2023.md 2.2, 2.3)."""

from collections import Counter
from pathlib import Path

import pytest

from spanwise.feedback.formats.registry import read_feedback
from spanwise.reward_models.config import CompletenessRule, FactualityRule, RelevanceRule
from spanwise.reward_models.data.labels import label_records

DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "qa_feedback" / "dev_feedback.json.gz"


@pytest.fixture(scope="module")
def labelled():
    if not DATA.exists():
        pytest.skip("the QA-Feedback file is not beside the checkout")
    rules = {"relevance": RelevanceRule(), "factuality": FactualityRule()}
    return label_records(read_feedback(DATA, "qa-feedback").records, spans=rules, completeness=CompletenessRule())


def tally(labelled, head):
    return Counter(label.correct for item in labelled[0] for found in item.segments[head].values() for label in found)


def test_relevance_labels_are_balanced_as_published(labelled):
    """1,362 wrong and 1,342 right there; the sentence splitter is another, hence 1 %."""
    found = tally(labelled, "relevance")
    assert found[0.0] == pytest.approx(1362, rel=0.01)
    assert found[1.0] == pytest.approx(1342, rel=0.01)
    assert labelled[1]["relevance/short spans"] == 133


def test_factuality_ignores_half_of_the_sentences_as_published(labelled):
    """282 wrong, 528 right, 620 ignored in 436 answers there."""
    found = tally(labelled, "factuality")
    assert found[0.0] == pytest.approx(282, rel=0.01)
    assert found[1.0] == pytest.approx(528, rel=0.01)
    assert found[None] == pytest.approx(620, rel=0.01)
    assert sum(bool(item.segments["factuality"]) for item in labelled[0]) == pytest.approx(436, abs=2)


def test_completeness_pairs_agree_with_people_better_than_published(labelled):
    """1,115 pairs there, 71.6 % of which agree with the preference where both decide; in order, fewer pieces match."""
    agree = both = 0
    for item in labelled[0]:
        preferred = {(pair.better, pair.worse) for pair in item.pairs["preference"]}
        for pair in item.pairs["completeness"]:
            agree += (pair.better, pair.worse) in preferred
            both += (pair.better, pair.worse) in preferred or (pair.worse, pair.better) in preferred
    assert 950 < sum(len(item.pairs["completeness"]) for item in labelled[0]) < 1115
    assert agree / both > 0.73


def test_decided_preferences_are_counted_exactly(labelled):
    pairs = [pair for item in labelled[0] for pair in item.pairs["preference"]]
    assert Counter(pair.better_first for pair in pairs) == {True: 1577, False: 1039}
    assert labelled[1]["preference/ties"] == 384
