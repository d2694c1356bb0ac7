"""Span scores become token scores: nothing is lost, and each placement is what it says."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import DataError, SpanError
from spanwise.rewards.projection import project
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

TEXT = "One two.  Six"
TOKENS = [Span(0, 3), Span(3, 7), Span(7, 8), Span(8, 9), Span(9, 13), Span(13, 13)]  # One| two|.| |  Six|</s>
SENTENCES = [Span(0, 10), Span(10, 13)]


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("end", [0, 0, 8, 0, 1, 0]),
        ("spread", [3, 4, 1, 0, 1, 0]),  # 8 characters: 3, 4 and 1 of them
        ("every", [8 / 3, 8 / 3, 8 / 3, 0, 1, 0]),
    ],
)
def test_two_sentences(placement, expected):
    scores = project(SENTENCES, [8.0, 1.0], TOKENS, text=TEXT, placement=placement)
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float32))


def test_a_whole_response_is_paid_on_its_last_token_and_spread_over_its_text():
    whole = [Span(0, 13)]
    assert project(whole, [2.0], TOKENS, text=TEXT, whole_response=True).tolist() == [0, 0, 0, 0, 0, 2]
    assert project(whole, [2.0], TOKENS[:-1], text=TEXT, whole_response=True).tolist() == [0, 0, 0, 0, 2]
    # The special token wrote nothing, so that it has no part in what is spread; inner whitespace belongs to the text.
    spread = project(whole, [13.0], TOKENS, text=TEXT, placement="spread", whole_response=True)
    torch.testing.assert_close(spread, torch.tensor([3.0, 4, 1, 1, 4, 0]))
    every = project(whole, [5.0], TOKENS, text=TEXT, placement="every", whole_response=True)
    assert every.tolist() == [1, 1, 1, 1, 1, 0]


def test_without_the_flag_a_span_of_the_whole_text_is_paid_on_its_last_text_token():
    assert project([Span(0, 13)], [2.0], TOKENS, text=TEXT).tolist() == [0, 0, 0, 0, 2, 0]


def test_segments_that_end_on_one_token_add_up():
    segments = [Span(3, 5), Span(3, 7), Span(0, 6)]
    assert project(segments, [1.0, 0.5, 0.25], TOKENS, text=TEXT).tolist() == [0, 1.75, 0, 0, 0, 0]


@pytest.mark.parametrize("placement", ["end", "spread", "every"])
@pytest.mark.parametrize(("segment", "token"), [(Span(8, 10), 2), (Span(5, 5), 1), (Span(0, 0), 0), (Span(13, 13), 4)])
def test_a_segment_without_a_token_pays_the_nearest_before_it(placement, segment, token):
    scores = project([segment], [-1.5], TOKENS, text=TEXT, placement=placement)
    assert scores.tolist() == [-1.5 if index == token else 0 for index in range(6)]


def test_a_token_that_shares_a_character_has_its_part():
    tokens = [Span(0, 2), Span(1, 2), Span(2, 3)]  # "a" and a part of the euro sign, the rest of it, "b"
    text = "a€b"
    assert project([Span(0, 2), Span(2, 3)], [1.0, 2.0], tokens, text=text).tolist() == [0, 1, 2]
    assert project([Span(0, 2)], [3.0], tokens, text=text, placement="spread").tolist() == [2, 1, 0]


def test_a_token_across_a_boundary_gets_from_both_sides():
    tokens = [Span(0, 2), Span(2, 4)]
    segments = [Span(0, 3), Span(3, 4)]
    assert project(segments, [3.0, 1.0], tokens, text="abcd").tolist() == [0, 4]
    assert project(segments, [3.0, 1.0], tokens, text="abcd", placement="spread").tolist() == [2, 2]


def test_a_response_of_special_tokens_alone_keeps_its_score():
    assert project([Span(0, 0)], [0.5], [Span(0, 0)] * 2, text="").tolist() == [0, 0.5]


def test_no_scores_are_zeros():
    assert project([], [], TOKENS, text=TEXT).tolist() == [0.0] * 6
    assert project([], [], [], text="").shape == (0,)


@pytest.mark.parametrize(
    ("segments", "values", "tokens", "error", "message"),
    [
        ([Span(0, 0)], [1.0], [], DataError, "without tokens cannot carry a score"),
        ([Span(0, 14)], [1.0], TOKENS, SpanError, r"Span \[0, 14\) lies outside its text of 13 characters"),
        ([Span(0, 3)], [float("nan")], TOKENS, DataError, r"score nan of span \[0, 3\)"),
        ([Span(0, 3)], [float("-inf")], TOKENS, DataError, r"score -inf of span"),
        ([Span(0, 3)], [1.0, 2.0], TOKENS, ValueError, "longer than"),
    ],
)
def test_what_cannot_be_projected_is_refused(segments, values, tokens, error, message):
    with pytest.raises(error, match=message):
        project(segments, values, tokens, text=TEXT)


@st.composite
def scored_responses(draw):
    """A text, tokens that cover it with empty ones strewn in, segments with values that are exact in float32."""
    text = draw(st.text(st.sampled_from("ab, .\né"), min_size=1, max_size=60))
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=20))})
    tokens = [Span(start, end) for start, end in pairwise(cuts)]
    for at in draw(st.lists(st.integers(0, len(tokens)), max_size=3)):
        start = tokens[at].start if at < len(tokens) else len(text)
        tokens.insert(at, Span(start, start))
    edges = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=6))
    segments = [*get_segmenter(draw(st.sampled_from(["sub-sentence", "window:2"])))(text)]
    segments += [Span(min(edge), max(edge)) for edge in edges]
    values = draw(st.lists(st.integers(-64, 64), min_size=len(segments), max_size=len(segments)))
    return text, tokens, segments, [value / 8 for value in values]


@given(scored_responses(), st.sampled_from(["end", "spread", "every"]), st.booleans())
@settings(deadline=None, max_examples=300)
def test_the_sum_in_is_the_sum_out_and_special_tokens_get_nothing(response, placement, whole_response):
    text, tokens, segments, values = response
    scores = project(segments, values, tokens, text=text, placement=placement, whole_response=whole_response)
    assert scores.shape == (len(tokens),)
    assert scores.double().sum().item() == pytest.approx(sum(values), abs=1e-4)
    if placement == "end":
        assert scores.sum().item() == sum(values)  # no rounding at all
    paid_at_the_end = whole_response and placement == "end"
    assert not any(score for score, token in zip(scores[:-1].tolist(), tokens[:-1], strict=True) if not len(token))
    assert paid_at_the_end or len(tokens[-1]) or scores[-1] == 0
