import math

import pytest

from spanwise.core.errors import DataError
from spanwise.evals.metrics.rouge import AnswerText, RougeLsum, distinct_n, reward_scores, self_bleu, text_scores
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


def test_rouge_lsum_is_the_union_of_longest_common_subsequences_sentence_by_sentence():
    # Reference sentences (3 and 2 words) share {alpha, gamma} and {delta}: recall 3/5, precision 3/4.
    found = RougeLsum()("Alpha gamma. Delta zeta.", ["Alpha beta gamma. Delta epsilon."])
    assert found == pytest.approx(2 * 0.6 * 0.75 / 1.35)


def test_rouge_lsum_does_not_mind_the_order_of_sentences_nor_line_breaks_inside_them():
    rouge = RougeLsum()
    assert rouge("Delta epsilon\nzeta. Alpha beta gamma.", ["Alpha beta gamma. Delta epsilon zeta."]) == 1.0


def test_rouge_lsum_stems_and_takes_the_best_reference():
    rouge = RougeLsum()
    assert rouge("They founded a society.", ["Nothing alike here", "They found a societies."]) == 1.0
    assert rouge("", ["Some words."]) == 0.0


@pytest.mark.parametrize("references", [[], [""], ["\u5317\u4eac\u3002"]])
def test_rouge_without_a_readable_reference_is_unscored(references):
    assert isinstance(RougeLsum()("Some words.", references), Unscored)


@pytest.mark.parametrize(
    ("text", "n", "wanted"),
    [("a b a b", 1, 0.5), ("a b a b", 2, 2 / 3), ("A a", 1, 0.5), ("a b c", 3, 1.0)],
)
def test_distinct_n_is_different_over_all(text, n, wanted):
    assert distinct_n(text, n) == pytest.approx(wanted)


def test_distinct_n_of_too_few_words_is_unscored_and_of_n_0_is_an_error():
    assert isinstance(distinct_n("one", 2), Unscored)
    with pytest.raises(DataError, match="at least 1"):
        distinct_n("one", 0)


def test_text_scores_are_per_prompt_and_leave_out_what_nothing_was_told_of():
    found = text_scores([AnswerText("a", "one two two", truncated=True), AnswerText("b", "", truncated=False)])
    assert set(found) == {"words", "truncated", "empty", "distinct_1", "distinct_2", "distinct_3"}
    assert found["words"].totals.tolist() == [[3.0, 0.0]]
    assert found["truncated"].totals.tolist() == [[1.0, 0.0]]
    assert found["distinct_1"].mask.tolist() == [[True, False]]  # an empty answer repeats nothing: no score


def test_samples_of_one_prompt_are_averaged():
    answers = [AnswerText("a", "one"), AnswerText("b", "one"), AnswerText("a", "one two three")]
    found = text_scores(answers)["words"]
    assert found.ids == ("a", "b")
    assert (found.totals / found.counts).tolist() == [[2.0, 1.0]]


class ScriptedSource:
    name, category, density, version = "facts", "factuality", "sentence", "1"

    def __init__(self, *scores):
        self.scores = scores

    def score(self, samples):
        return list(self.scores)


def segments(*values):
    return SegmentScores(tuple(SegmentScore(Span(i, i + 1), value) for i, value in enumerate(values)))


def test_rewards_are_micro_averaged_and_an_unscored_segment_unscores_the_answer():
    source = ScriptedSource(
        segments(1.0, 0.0, -1.0),
        segments(3.0),
        segments(1.0, Unscored("down")),
        SegmentScores(missing=Unscored("down")),
    )
    found = reward_scores([source], ["a", "b", "c", "d"], [Sample("q", "r")] * 4)["reward/facts"]
    assert found.totals.tolist() == [[0.0, 3.0, 0.0, 0.0]]
    assert found.counts.tolist() == [[3.0, 1.0, 0.0, 0.0]]
    assert found.mask.tolist() == [[True, True, False, False]]
    assert math.isclose(found.totals.sum() / found.counts.sum(), 0.75)


def test_self_bleu_is_one_for_equal_samples_and_near_zero_for_different_ones():
    texts = ["a b c d e", "a b c d e", "v w x y z"]
    found = self_bleu([AnswerText("q", text) for text in texts])
    assert found[0] == found[1] == pytest.approx(1.0)
    assert found[2] < 0.1


def test_self_bleu_agrees_with_a_worked_example():
    # Of "a b c" against "a b d": two of three words, one of two pairs, no triple (counted as a tenth).
    found = self_bleu([AnswerText("q", "a b c"), AnswerText("q", "A b d")])
    assert found[0] == pytest.approx((2 / 3 * 1 / 2 * 0.1) ** (1 / 3))


def test_self_bleu_needs_another_sample_of_the_same_prompt():
    found = self_bleu([AnswerText("q", "a b"), AnswerText("p", "a b"), AnswerText("q", " ")])
    assert [isinstance(one, Unscored) for one in found] == [False, True, True]
