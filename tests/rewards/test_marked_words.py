"""Words cost the probability that their worst token is marked; the prompt costs nothing."""

import math

import pytest

from spanwise.core.errors import ConfigError
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.reward_models.heads import HeadSpec
from spanwise.rewards.learned import LearnedRewards
from spanwise.rewards.marked_words import MarkedWords
from spanwise.text.spans import Span


class Tokens(LearnedRewards):
    """Stands for LearnedRewards: every two characters are a token, marked with probability 0.9 if they hold an x."""

    version = "tokens"

    def __init__(self, kind="token"):
        self.heads = (HeadSpec("spans", "token" if kind == "token" else "sentence", kind, mean=2.0, std=0.5),)

    def score_all(self, samples):
        return [{"spans": self._scores(sample)} for sample in samples]

    def _scores(self, sample):
        assert sample.prompt == ""
        if "?" in sample.response:
            return SegmentScores(missing=Unscored("too long"))
        text, found = sample.response, []
        for start in range(0, len(text), 2):
            span = Span(start, min(len(text), start + 2))
            marked = 0.9 if "x" in span.of(text) else 0.1
            logit = math.log((1 - marked) / marked)
            found.append(SegmentScore(span, (logit - 2.0) / 0.5))
        return SegmentScores((*found, SegmentScore(Span(len(text), len(text)), 0.0)))


def test_a_word_costs_its_worst_token():
    source = MarkedWords("spans", Tokens())
    scores = source.score([Sample("xxx", "aaaaax bbb xxxx")])[0].scores
    assert [score.span for score in scores] == [Span(0, 6), Span(7, 10), Span(11, 15)]
    assert [score.value for score in scores] == pytest.approx([-0.9, -0.1, -0.9])


def test_what_the_model_cannot_read_is_missing():
    found = MarkedWords("spans", Tokens()).score([Sample("a", "b?"), Sample("a", "")])
    assert found[0].missing == Unscored("too long")
    assert found[1] == SegmentScores()


def test_a_model_of_segments_is_refused():
    with pytest.raises(ConfigError, match="kind: token"):
        MarkedWords("spans", Tokens("segment"))
