"""Biases of scores that are biased by construction, and the same figures of the labels beside them."""

import numpy as np
import pytest

from spanwise.evals.reward_models.bias import HeadCases, PairCase, SegmentCase, agreement, head_bias, rank_correlation


def test_scores_that_follow_length_and_not_the_label_show_it():
    cases = [SegmentCase(score=n, right=n % 2 == 0, words=n, place=1 - n / 10) for n in range(10)]
    found = head_bias(HeadCases(segments=cases))
    assert found["length_correlation"] == pytest.approx(1.0)
    assert found["position_correlation"] == pytest.approx(-1.0)
    assert abs(found["label_length_correlation"]) < 0.2


def test_pairs_by_hand():
    pairs = [
        PairCase(better=2, worse=1, better_words=9, worse_words=5, better_first=True),  # longer wins, and scores so
        PairCase(better=2, worse=1, better_words=9, worse_words=5, better_first=False),
        PairCase(better=1, worse=2, better_words=5, worse_words=9, better_first=False),  # longer loses, not seen
        PairCase(better=1, worse=1, better_words=5, worse_words=9),  # equal scores: half
        PairCase(better=0, worse=1, better_words=7, worse_words=7),
    ]
    assert head_bias(HeadCases(pairs=pairs)) == pytest.approx(
        {
            "accuracy_longer_better": 1.0,
            "accuracy_shorter_better": 0.25,
            "prefers_longer": (2 + 1 + 0.5) / 4,
            "label_prefers_longer": 0.5,
            "prefers_first_listed": (1 + 0 + 1) / 3,
            "label_prefers_first_listed": 1 / 3,
        }
    )


def test_what_does_not_vary_has_no_correlation():
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert head_bias(HeadCases()) == {}


def test_heads_agree_by_rank_over_the_responses_that_both_scored():
    found = agreement(
        {"a": [1.0, 2.0, 3.0, None, 9.0], "b": [10.0, 20.0, 500.0, 1.0, None], "c": [3.0, 2.0, 1.0, 0.0, 0.5]}
    )
    assert found["a / b"] == pytest.approx(1.0)
    # ranks of a 1 2 3 4 against ranks of c 4 3 2 1
    assert found["a / c"] == pytest.approx(-1.0)


def test_ties_share_their_rank():
    x, y = [1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]
    ranks = np.corrcoef([1.5, 1.5, 3, 4], [1, 2, 3, 4])[0, 1]
    assert rank_correlation(x, y) == pytest.approx(ranks)
