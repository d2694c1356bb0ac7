"""Token ranges and last tokens: by hand, and against their definitions on random tokens."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core.errors import DataError, SpanError
from spanwise.text.spans import Span
from spanwise.text.tokens import last_token, token_range, trimmed_end

TEXT = "One two.  Six"
TOKENS = [Span(0, 3), Span(3, 7), Span(7, 8), Span(8, 9), Span(9, 13), Span(13, 13)]  # One| two|.| |  Six|</s>


@pytest.mark.parametrize(
    ("span", "strict", "contract", "expand"),
    [
        (Span(0, 3), (0, 1), (0, 1), (0, 1)),
        (Span(4, 8), None, (2, 3), (1, 3)),
        (Span(3, 8), (1, 3), (1, 3), (1, 3)),
        (Span(4, 6), None, None, (1, 2)),
        (Span(0, 13), (0, 5), (0, 5), (0, 5)),
        (Span(5, 5), None, None, None),
    ],
)
def test_ranges_in_the_three_modes(span, strict, contract, expand):
    assert token_range(span, TOKENS) == strict
    assert token_range(span, TOKENS, "contract") == contract
    assert token_range(span, TOKENS, "expand") == expand


def test_tokens_that_share_a_character_stay_together():
    tokens = [Span(0, 2), Span(1, 2), Span(1, 3)]  # a€b, where the euro's bytes lie in all three
    assert token_range(Span(1, 2), tokens, "contract") == (1, 2)
    assert token_range(Span(1, 2), tokens, "expand") == (0, 3)
    assert token_range(Span(1, 2), tokens, "strict") is None
    assert token_range(Span(0, 3), tokens, "strict") == (0, 3)
    assert last_token(Span(0, 2), tokens, text="a€b") == 2


def test_a_span_beyond_the_tokens_is_refused():
    with pytest.raises(SpanError, match="ends beyond the last token"):
        token_range(Span(3, 14), TOKENS)


@pytest.mark.parametrize(
    ("span", "token"),
    [
        (Span(0, 4), 0),  # "One ": the space lies in the next token
        (Span(0, 8), 2),
        (Span(0, 10), 2),  # two spaces after the full stop, one of them a token of its own
        (Span(10, 13), 4),
        (Span(8, 10), 2),  # blank: the nearest token before that wrote text
        (Span(5, 5), 1),  # collapsed
        (Span(13, 13), 4),  # at the end: never the special token
        (Span(0, 0), 0),  # nothing before: the first that wrote text
    ],
)
def test_last_tokens_by_hand(span, token):
    assert last_token(span, TOKENS, text=TEXT) == token


def test_last_token_without_any_text():
    assert last_token(Span(0, 0), [Span(0, 0), Span(0, 0)], text="") == 1
    with pytest.raises(DataError, match="leave empty responses out"):
        last_token(Span(0, 0), [], text="")


@st.composite
def tokenised_texts(draw):
    """A text, tokens that cover it in order with empty ones strewn in, and a span of it."""
    text = draw(st.text(st.sampled_from("ab \n"), min_size=1, max_size=20))
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=8))})
    tokens = [Span(start, end) for start, end in pairwise(cuts)]
    for at in draw(st.lists(st.integers(0, len(tokens)), max_size=3)):
        start = tokens[at].start if at < len(tokens) else len(text)
        tokens.insert(at, Span(start, start))
    start, end = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    return text, tokens, Span(start, end)


@given(tokenised_texts())
def test_last_token_is_the_last_to_hold_a_visible_character_of_the_span(case):
    text, tokens, span = case
    visible = {at for at in range(span.start, span.end) if not text[at].isspace()}
    holders = [i for i, token in enumerate(tokens) if visible & set(range(token.start, token.end))]
    found = last_token(span, tokens, text=text)
    assert len(tokens[found])
    if holders:
        assert found == holders[-1]
    else:  # no token of its own: the nearest before it that wrote a visible character, else the first with text
        before = [i for i, token in enumerate(tokens) if text[token.start : min(token.end, span.end)].strip()]
        assert found == (before[-1] if before else next(i for i, token in enumerate(tokens) if len(token)))


@given(tokenised_texts())
def test_ranges_by_their_definitions(case):
    _, tokens, span = case
    touched = [i for i, token in enumerate(tokens) if token.overlap(span)]
    inside = [i for i, token in enumerate(tokens) if len(token) and span.contains(token)]
    for mode, members in (("expand", touched), ("contract", inside)):
        assert token_range(span, tokens, mode) == ((members[0], members[-1] + 1) if members else None)
    exact = len(span) and {span.start, span.end} <= {edge for t in tokens if len(t) for edge in (t.start, t.end)}
    assert (token_range(span, tokens, "strict") is not None) == bool(exact)


def test_trimmed_end():
    assert [trimmed_end(Span(0, end), "a \u2003b ") for end in range(6)] == [0, 1, 1, 1, 4, 4]
