"""Marks of another against people's: figures by hand and by other implementations, and the rule of the verdicts."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.feedback.statistics.agreement import Alpha
from spanwise.feedback.statistics.stand_ins import ANY, Rate, compare_marks, verdict
from spanwise.text import sub_sentences


def record(number, text, *marks, marked=True):
    spans = tuple(mark(text, start, end, category, **more) for start, end, category, more in marks)
    return FeedbackRecord(id=f"r{number}", prompt="p", responses=(Response(text=text, marked=marked, spans=spans),))


def at(text, quote, category="bad", **more):
    start = text.index(quote)
    return start, start + len(quote), category, more


def of(report, name):
    (found,) = [one for one in report.categories if one.category == name]
    return found


def test_figures_by_hand():
    first = "One two three comes first here. Then four and five come here."
    second = "Six and seven stand in here. Last eight and nine stand here."
    people = [record(0, first, at(first, "two three")), record(1, second, at(second, "nine"), at(second, "Six", "odd"))]
    other = [
        record(0, first, at(first, "two three comes", confidence=0.9), at(first, "five", confidence=0.2)),
        record(1, second, at(second, "Six", confidence=0.6)),
    ]
    report = compare_marks(people, other, cost=0.3)
    bad = of(report, "bad")
    assert (bad.people, bad.other, bad.found) == (2, 3, 1)
    assert (bad.precision.value, bad.recall.value) == (pytest.approx(1 / 3), 0.5)
    # sub-sentences: wrong ones 0.9 and 0 against right ones 0.2 and 0.6
    assert bad.auroc.value == pytest.approx(0.5)
    assert bad.cost_per_error == pytest.approx(0.3)
    odd = of(report, "odd")
    assert (odd.people, odd.other, odd.precision.value, odd.recall.value) == (1, 0, None, 0.0)
    everything = of(report, ANY)
    assert (everything.people, everything.other, everything.found) == (3, 3, 2)
    assert report.answers == 2


def test_answers_of_one_side_are_counted_and_praise_and_unmarked_ones_left_out():
    text = "One two."
    people = [record(0, text, at(text, "two")), record(1, "Only people."), record(2, "Unseen.", marked=False)]
    other = [record(0, text, at(text, "two"), at(text, "One", polarity="positive")), record(3, "Only other.")]
    report = compare_marks(people, other)
    assert (report.answers, report.only_people, report.only_other) == (1, 1, 1)
    assert (of(report, ANY).other, of(report, "bad").precision) == (1, Rate(1.0))


def test_auroc_is_that_of_scikit_learn_and_intervals_hold_the_value():
    random = np.random.default_rng(5)
    people, other, truths, scores = [], [], [], []
    for number in range(60):
        text = " ".join(f"Part number {number} has clause {k} here." for k in range(4))
        parts = sub_sentences(text)
        assert len(parts) == 4
        wrong = random.random(len(parts)) < 0.4
        sure = np.round(np.clip(random.normal(0.3 + 0.3 * wrong, 0.2), 0, 1), 1)
        people.append(
            record(number, text, *[(p.start, p.end, "bad", {}) for p, w in zip(parts, wrong, strict=True) if w])
        )
        other.append(record(number, text, *[
            (p.start, p.end, "bad", {"confidence": float(s)}) for p, s in zip(parts, sure, strict=True) if s > 0.2
        ]))  # fmt: skip
        truths += list(wrong)
        scores += [s if s > 0.2 else 0.0 for s in sure]
    bad = of(compare_marks(people, other), "bad")
    assert bad.auroc.value == pytest.approx(roc_auc_score(truths, scores))
    for figure in (bad.auroc, bad.precision, bad.recall, bad.alpha):
        assert figure.low < figure.value < figure.high
    assert of(compare_marks(people, people), "bad").verdict == "may replace"


def test_two_people_who_marked_an_answer_make_two_pairs():
    text = "One two."
    people = [record(0, text, at(text, "two")), record(1, text)]
    report = compare_marks(people, [record(0, text, at(text, "two"))])
    assert (report.answers, of(report, "bad").precision.value) == (2, 0.5)


HIGH, FAIR, LOW = (Rate(0.9, low, 1.0) for low in (0.8, 0.5, 0.4))
ALPHA, LOW_ALPHA = Alpha(0.9, 0.8, 1.0, 100), Alpha(0.8, 0.7, 0.9, 100)


@pytest.mark.parametrize(
    ("people", "precision", "recall", "auroc", "alpha", "expected"),
    [
        (30, HIGH, HIGH, HIGH, ALPHA, "may replace"),
        (29, HIGH, HIGH, HIGH, ALPHA, "must not replace"),
        (30, HIGH, HIGH, HIGH, LOW_ALPHA, "may pre-mark"),
        (30, FAIR, LOW, HIGH, LOW_ALPHA, "may pre-mark"),
        (30, LOW, HIGH, HIGH, ALPHA, "must not replace"),
        (30, FAIR, LOW, Rate(0.6, 0.5, 0.7), ALPHA, "must not replace"),
        (30, Rate(None), Rate(0.0), Rate(None), Alpha(None, None, None, 9), "must not replace"),
    ],
)
def test_the_rule_of_the_verdicts(people, precision, recall, auroc, alpha, expected):
    assert verdict(people, precision=precision, recall=recall, auroc=auroc, alpha=alpha) == expected
