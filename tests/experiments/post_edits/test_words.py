"""Figures of word scores against scikit-learn's, closed forms, and resampling by hand."""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from experiments.post_edits.words import Words, auroc, badness, best_threshold, localisation, matthews, words_of
from spanwise.core.errors import DataError
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


def drawn(seed, texts=30, *, ties=False):
    generator = np.random.default_rng(seed)
    group = np.repeat(np.arange(texts), generator.integers(1, 9, size=texts))
    bad = generator.random(len(group)) < 0.3
    scores = generator.normal(size=len(group)) + bad
    return Words(group, bad), np.round(scores) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_figures_are_those_of_scikit_learn(ties):
    words, scores = drawn(0, ties=ties)
    assert auroc(words, scores) == pytest.approx(roc_auc_score(words.bad, scores))
    for threshold in (-0.5, 0.0, 1.0):
        expected = matthews_corrcoef(words.bad, scores >= threshold)
        assert matthews(words, scores, threshold) == pytest.approx(expected)
    assert matthews(words, scores, 99.0) == 0.0


def test_the_best_threshold_is_the_best_of_all():
    words, scores = drawn(1, ties=True)
    found = best_threshold(words, scores)
    every = [matthews(words, scores, threshold) for threshold in np.unique(scores)]
    assert matthews(words, scores, found) == pytest.approx(max(every))


def test_intervals_resample_whole_texts_the_same_ones_for_all_arms():
    words, scores = drawn(2)
    arms = {"a": scores, "same": scores * 2 + 1, "noise": np.random.default_rng(5).normal(size=len(scores))}
    thresholds = {"a": 0.5, "same": 2.0, "noise": 0.0}
    found = localisation(words, arms, thresholds, generator=np.random.default_rng(0), resamples=200)
    assert found.auroc["a"].mean == pytest.approx(auroc(words, scores))
    assert found.matthews["noise"].mean == pytest.approx(matthews(words, arms["noise"], 0.0))
    assert (found.auroc_gain["same"].low, found.auroc_gain["same"].high) == (0.0, 0.0)
    assert (found.matthews_gain["same"].low, found.matthews_gain["same"].high) == (0.0, 0.0)
    assert found.auroc_gain["noise"].excludes_zero
    generator = np.random.default_rng(0)
    by_hand = []
    for _ in range(200):
        weight = generator.multinomial(30, np.full(30, 1 / 30))[words.group]
        by_hand.append(roc_auc_score(words.bad, scores, sample_weight=weight))
    low, high = np.quantile(by_hand, [0.025, 0.975])
    assert found.auroc["a"].low == pytest.approx(low)
    assert found.auroc["a"].high == pytest.approx(high)


def test_one_kind_of_word_alone_cannot_be_measured():
    words = Words(np.array([0, 1]), np.array([True, True]))
    found = localisation(words, {"a": np.zeros(2)}, {"a": 0.0}, generator=np.random.default_rng(0), resamples=5)
    assert found.auroc["a"].mean is None
    assert found.matthews["a"].mean == 0.0


def test_a_word_is_as_bad_as_its_worst_token():
    text = "un said  it"
    values = [(Span(0, 1), 1.0), (Span(1, 2), -2.0), (Span(2, 7), 0.5), (Span(9, 11), 3.0), (Span(11, 11), -9.0)]
    scores = SegmentScores(tuple(SegmentScore(span, value) for span, value in values))
    assert badness(text, scores) == [2.0, -0.5, -3.0]
    assert [word.of(text) for word in words_of(text)] == ["un", "said", "it"]


def test_words_without_a_reward_are_no_zero():
    with pytest.raises(DataError, match="'said' has no reward"):
        badness("un said", SegmentScores((SegmentScore(Span(0, 2), 1.0),)))
    with pytest.raises(DataError, match="not scored: too long"):
        badness("un", SegmentScores(missing=Unscored("too long")))
