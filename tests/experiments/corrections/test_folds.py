"""Corrections against marked spans: agreement by hand and as published, and the study end to end on a tiny encoder."""

from pathlib import Path

import pytest
from doubles.edit_world import edit_pairs
from doubles.reward_world import tiny_bert

from experiments.corrections.folds import corrections_of, disjoint, minimal, span_agreement
from experiments.corrections.page import corrections_page
from experiments.corrections.transfer import CorrectionsStudyConfig, run_corrections, target
from experiments.qa_feedback.data import load_feedback
from spanwise.core.errors import ConfigError
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.text.spans import Span

ROOT = Path(__file__).parents[3]
DATA = ROOT / ".." / "shared" / "data" / "qa_feedback"


def record(number, text, correction, *marks, prompt=None):
    spans = tuple(mark(text, start, end, "Wrong") for start, end in marks)
    response = Response(text=text, correction=correction, marked=True, spans=spans)
    return FeedbackRecord(id=str(number), prompt=prompt or f"question {number}", responses=(response,))


def test_agreement_counts_words_of_all_answers_together():
    items = corrections_of(
        [
            record(0, "one two three four", "one TWO three four", (4, 7)),  # hit
            record(1, "one two three four", "one two three FOUR", (0, 3), (4, 7)),  # two missed, one false alarm
            record(2, "the same", "the same"),
        ]
    )
    found = span_agreement(items, "matching-blocks", 0)
    assert (found.pairs, found.precision, found.recall) == (2, 1 / 2, 1 / 3)
    assert found.f1 == pytest.approx(0.4)
    assert [item.record.id for item in minimal(items, kept=0.75)] == ["0", "1"]
    assert minimal(items, kept=0.8) == []


def test_overlapping_marks_become_disjoint():
    assert disjoint([Span(3, 8), Span(0, 5), Span(4, 6)]) == [Span(0, 5), Span(5, 8)]


@pytest.mark.skipif(not DATA.exists(), reason="the QA-Feedback files are not beside the checkout")
def test_the_published_agreement_comes_out():
    items = corrections_of(load_feedback(DATA))
    assert len(items) == 494
    assert 100 < len(minimal(items, kept=0.6)) < 170  # 134 by runs between blanks
    found = span_agreement(items, "matching-blocks", 0)
    assert (found.precision, found.recall, found.f1) == pytest.approx((0.926, 0.907, 0.917), abs=0.0015)


def world(count):
    """Answers with one wrong word each, which is marked and corrected."""
    found = []
    for number, pair in enumerate(edit_pairs(count)):
        change = pair.spans[0]
        found.append(record(number, pair.original, pair.edited, (change.start, change.end), prompt=pair.prompt))
    return found


def study(out, **settings):
    return run_corrections(
        CorrectionsStudyConfig(**{"folds": 2, "resamples": 10, **settings}),
        world(60),
        out,
        token=TokenRewardConfig(
            fitting={"epochs": 15, "batch_size": 8, "learning_rate": 3e-3, "head_learning_rate": 3e-3},
            device="cpu",
            use_passages=False,
        ),
        backbone=tiny_bert(),
        say=lambda _text: None,
    )


def test_each_kind_of_feedback_teaches_the_other_and_a_stopped_study_goes_on(tmp_path):
    result = study(tmp_path)
    assert result["agreement"]["all"]["matching blocks"]["f1"] == 1.0
    for kind, other in (("spans", "corrections"), ("corrections", "spans")):
        test = result["tests"][kind]
        first = f"token rewards from {other}"
        assert next(iter(test["auroc"])) == first
        assert test["auroc"][first]["mean"] > 0.9
        assert "place" in test["auroc_gain"]
    (tmp_path / "fold-1.json").unlink()
    assert study(tmp_path)["tests"] == result["tests"]
    page = corrections_page(result, command="python x.py")
    assert f"{result['tests']['spans']['auroc']['token rewards from corrections']['mean']:.3f} [" in page
    with pytest.raises(ConfigError, match="made with other settings"):
        study(tmp_path, seed=1)


def test_words_are_bad_by_marks_or_by_changes():
    items = corrections_of([record(0, "one two three", "one TWO three", (0, 3))])
    assert target(items, "spans").bad.tolist() == [True, False, False]
    assert target(items, "corrections").bad.tolist() == [False, True, False]


def test_the_config_of_the_experiment_is_one():
    assert TokenRewardConfig.load(ROOT / "experiments" / "corrections" / "token.yaml").layers == 4
