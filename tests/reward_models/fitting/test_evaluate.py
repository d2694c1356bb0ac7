"""Metrics equal what one counts by hand."""

import math

import pytest

from spanwise.reward_models.fitting.evaluate import HeadOutputs, judge_heads, selection_score
from spanwise.reward_models.heads import HeadSpec

SEGMENTS = HeadSpec("relevance", "sub-sentence", "segment")
PAIRS = HeadSpec("preference", "sequence", "sequence")


def metrics(found, head):
    return judge_heads({head.name: found}, [head])[head.name].metrics


def test_segment_metrics_by_hand():
    found = metrics(HeadOutputs(logits=[2.0, -1.0, -2.0, 1.0, -3.0], correct=[1.0, 1.0, 0.0, 0.0, 0.0]), SEGMENTS)
    assert found["segments"] == 5
    assert found["error_share"] == pytest.approx(0.6)
    assert found["majority_accuracy"] == pytest.approx(0.6)
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["error_precision"] == pytest.approx(2 / 3)
    assert found["error_recall"] == pytest.approx(2 / 3)
    assert found["error_f1"] == pytest.approx(2 / 3)
    # Of the 2 x 3 pairs of a right and a wrong segment, only (-1 right, 1 wrong) stands in the wrong order.
    assert found["auroc"] == pytest.approx(5 / 6)


def test_calibration_moves_the_threshold_and_leaves_the_ranking():
    outputs = HeadOutputs(logits=[2.0, 1.0, 0.5], correct=[1.0, 0.0, 0.0])
    moved = HeadSpec("relevance", "sub-sentence", "segment", slope=2.0, offset=-3.0)
    assert metrics(outputs, SEGMENTS)["accuracy"] == pytest.approx(1 / 3)
    assert metrics(outputs, moved)["accuracy"] == 1.0
    assert metrics(outputs, moved)["auroc"] == metrics(outputs, SEGMENTS)["auroc"] == 1.0
    assert metrics(outputs, moved)["log_loss"] == pytest.approx(
        (math.log1p(math.exp(-1)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 3
    )


def test_a_soft_label_below_one_is_an_error():
    assert metrics(HeadOutputs(logits=[1.0, -1.0], correct=[1.0, 0.8]), SEGMENTS)["accuracy"] == 1.0


def test_one_class_alone_has_no_ranking():
    told = metrics(HeadOutputs(logits=[1.0, -1.0], correct=[1.0, 1.0]), SEGMENTS)
    assert "auroc" not in told
    assert not {"accuracy", "majority_accuracy", "error_f1"} & set(told)


def test_pair_metrics_count_equal_scores_as_half_and_name_the_trivial_answers():
    outputs = HeadOutputs(
        better=[1.0, 0.0, 2.0, 5.0],
        worse=[0.0, 1.0, 2.0, 1.0],
        better_longer=[True, True, True, False],
        better_first=[True, False],
    )
    assert metrics(outputs, PAIRS) == {
        "pairs": 4,
        "pair_accuracy": pytest.approx(0.625),
        "equal_scores": 1,
        "longer_wins": pytest.approx(0.75),
        "first_listed_wins": pytest.approx(0.5),
    }


def test_a_head_without_labels_says_so():
    assert metrics(HeadOutputs(), SEGMENTS) == {"segments": 0}
    assert metrics(HeadOutputs(), PAIRS) == {"pairs": 0}


def test_reliability_bins_are_of_calibrated_probabilities():
    outputs = HeadOutputs(logits=[0.0, 0.0, 4.0], correct=[1.0, 0.0, 1.0])
    bins = judge_heads({"relevance": outputs}, [SEGMENTS])["relevance"].reliability
    sure = 1 / (1 + math.exp(-4))
    assert bins == [
        {"confidence": 0.5, "accuracy": 0.5, "count": 2},
        {"confidence": pytest.approx(sure), "accuracy": 1.0, "count": 1},
    ]


def test_training_selects_by_ranking_of_segments_and_accuracy_of_pairs():
    assert selection_score({"a": {"auroc": 0.9}, "b": {"pair_accuracy": 0.5}, "c": {"pairs": 0}}) == pytest.approx(0.7)
    assert selection_score({"c": {"pairs": 0}}) == 0.0
