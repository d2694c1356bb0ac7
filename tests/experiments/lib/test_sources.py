"""Token rewards pooled over segments: every token counts once, in the segment where its first letter lies."""

import pytest

from experiments.lib.sources import PooledSource, pool_scores
from spanwise.feedback.scores import RewardSource, SegmentScore, SegmentScores, Unscored
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

TEXT = "Yes it is. No it was not."
TOKENS = (Span(0, 3), Span(3, 9), Span(9, 10), Span(10, 13), Span(13, 25), Span(25, 25))
VALUES = (1.0, 2.0, 3.0, -1.0, -2.0, -6.0)


def scores(values=VALUES):
    return SegmentScores(tuple(SegmentScore(span, value) for span, value in zip(TOKENS, values, strict=True)))


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [2.0, -3.0]), ("sum", [6.0, -9.0]), ("min", [1.0, -6.0])])
def test_pools_by_sentence_and_the_closing_token_belongs_to_the_last(pooling, expected):
    pooled = pool_scores(scores(), TEXT, get_segmenter("sentence"), pooling)
    assert [score.value for score in pooled.scores] == pytest.approx(expected)
    assert tuple(score.span for score in pooled.scores) == get_segmenter("sentence")(TEXT)


def test_what_could_not_be_scored_stays_unscored():
    gap = Unscored("no reason")
    pooled = pool_scores(scores((1.0, gap, *VALUES[2:])), TEXT, get_segmenter("sentence"))
    assert [score.value for score in pooled.scores] == [gap, pytest.approx(-3.0)]
    assert pool_scores(SegmentScores(missing=gap), TEXT, get_segmenter("sentence")).missing == gap
    bare = pool_scores(SegmentScores(scores().scores[:3]), TEXT, get_segmenter("sentence"))
    assert isinstance(bare.scores[1].value, Unscored)


def test_a_pooled_source_is_a_source_of_its_own_density_and_version():
    class Tokens:
        name, category, density, version = "token", "edits", "token", "7"

        def score(self, samples):
            return [scores() for _ in samples]

    pooled = PooledSource(Tokens(), "sequence", "mean")
    assert isinstance(pooled, RewardSource)
    assert (pooled.name, pooled.category, pooled.density) == ("token", "edits", "sequence")
    assert pooled.version != PooledSource(Tokens(), "sequence", "min").version
