"""From scripted sources to token scores: sums are conserved, shares stay apart, gaps are masked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError, ScoringError
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.config import MixtureConfig
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text.spans import Span


class Scripted:
    """A source that gives each response the scores written for it."""

    version = "1"

    def __init__(self, name, density, script):
        self.name = self.category = name
        self.density = density
        self.script = script

    def score(self, samples):
        return [self.script(sample) for sample in samples]


def words(text):
    """One token per word with its leading blank, and an end-of-sequence token that wrote nothing."""
    starts = [0, *(index for index, character in enumerate(text) if character == " ")]
    spans = [Span(start, end) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)] if text else []
    return (*spans, Span(len(text), len(text)))


def halves(left, right, text="one two. three four."):
    cut = text.index("three")
    return SegmentScores((SegmentScore(Span(0, cut), left), SegmentScore(Span(cut, len(text)), right)))


def pipeline(*sources, placement="end", **rules):
    return RewardPipeline(sources, MixtureConfig.model_validate({"sources": rules}), placement)


TEXT = "one two. three four."


def test_the_papers_three_rewards_land_on_their_tokens():
    relevance = Scripted("relevance", "sub-sentence", lambda sample: halves(1.0, -1.0))
    factuality = Scripted("factuality", "sentence", lambda sample: halves(-1.0, -1.0))
    completeness = Scripted(
        "completeness", "sequence", lambda sample: SegmentScores((SegmentScore(Span(0, len(TEXT)), 2.0),))
    )
    mix = pipeline(
        relevance,
        factuality,
        completeness,
        relevance={"weight": 0.3},
        factuality={"weight": 0.5},
        completeness={"weight": 0.3},
    )
    scores = mix([Sample("q", TEXT)], [words(TEXT)])
    torch.testing.assert_close(scores.shares["relevance"], torch.tensor([[0, 0.3, 0, -0.3, 0]]))
    torch.testing.assert_close(scores.shares["factuality"], torch.tensor([[0, -0.5, 0, -0.5, 0]]))
    torch.testing.assert_close(scores.shares["completeness"], torch.tensor([[0, 0, 0, 0, 0.6]]))
    torch.testing.assert_close(scores.total, torch.tensor([[0, -0.2, 0, -0.8, 0.6]]))
    assert scores.raw[0]["relevance"] == halves(1.0, -1.0)
    assert scores.dropped.tolist() == [False]


@settings(deadline=None)
@given(
    values=st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=4),
    weights=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    placement=st.sampled_from(["end", "spread", "every"]),
)
def test_the_sum_in_is_the_sum_out(values, weights, placement):
    by_text = {TEXT + " five" * index: pair for index, pair in enumerate(values)}
    dense = Scripted("dense", "sentence", lambda sample: halves(*by_text[sample.response], text=sample.response))
    whole = Scripted(
        "whole",
        "sequence",
        lambda sample: SegmentScores((SegmentScore(Span(0, len(sample.response)), by_text[sample.response][0]),)),
    )
    mix = pipeline(dense, whole, placement=placement, dense={"weight": weights[0]}, whole={"weight": weights[1]})
    scores = mix([Sample("q", text) for text in by_text], [words(text) for text in by_text])
    expected = [weights[0] * (left + right) + weights[1] * left for left, right in values]
    torch.testing.assert_close(scores.total.sum(1), torch.tensor(expected), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores.total, scores.shares["dense"] + scores.shares["whole"])
    for row, text in enumerate(by_text):
        assert torch.all(scores.total[row, len(words(text)) :] == 0)


def test_a_response_that_could_not_be_scored_is_dropped_alone():
    def script(sample):
        return SegmentScores(missing=Unscored("too long")) if "five" in sample.response else halves(1.0, 1.0)

    other = Scripted("other", "sentence", lambda sample: halves(1.0, 1.0))
    mix = pipeline(Scripted("dense", "sentence", script), other, dense={"missing": "mask"}, other={})
    samples = [Sample("q", TEXT), Sample("q", TEXT + " five")]
    scores = mix(samples, [words(sample.response) for sample in samples])
    assert scores.dropped.tolist() == [False, True]
    assert scores.total.sum(1).tolist() == [4.0, 0.0]
    assert scores.raw[1]["dense"].missing == Unscored("too long")
    with pytest.raises(ScoringError, match="too long"):
        pipeline(Scripted("dense", "sentence", script), dense={})(samples, [words(s.response) for s in samples])


def test_a_response_without_tokens_is_dropped_and_one_without_text_keeps_its_sequence_score():
    whole = Scripted("whole", "sequence", lambda sample: SegmentScores((SegmentScore(Span(0, 0), 1.5),)))
    scores = pipeline(whole, whole={})([Sample("q", ""), Sample("q", "")], [words(""), ()])
    assert scores.total.tolist() == [[1.5], [0.0]]
    assert scores.dropped.tolist() == [False, True]


def test_the_step_moves_scheduled_weights():
    dense = Scripted("dense", "sentence", lambda sample: halves(1.0, 1.0))
    mix = pipeline(dense, dense={"weight": 1.0, "final_weight": 0.0, "schedule_steps": 4})
    totals = [mix([Sample("q", TEXT)], [words(TEXT)], step=step).total.sum().item() for step in (0, 2, 4)]
    assert totals == pytest.approx([2.0, 1.0, 0.0])


def test_sources_and_mixture_must_name_the_same():
    with pytest.raises(ConfigError, match="no such reward source"):
        pipeline(Scripted("dense", "sentence", None), dense={}, sparse={})
