"""Phrases by hand: where they end, that they partition any text, and the threshold of a wanted length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core import ConfigError, DataError
from spanwise.text import Span, cut_phrases, get_segmenter, phrase_ends, phrase_threshold

H = [0.3, 2.1, 0.5, 1.9, 0.2]
"""Of what follows each of five tokens; the sixth is the end token, which belongs to the last phrase."""


@pytest.mark.parametrize(
    ("entropies", "threshold", "ends"),
    [
        (H, 1.75, [1, 3, 4]),
        ([0.3, 2.1, 0.5, 0.4, 0.2], 1.75, [1, 4]),
        ([0.3] * 5, 1.75, [4]),
        (H, 0.0, [0, 1, 2, 3, 4]),
        (H, 1000.0, [4]),
        ([0.3, 1.75, 0.5, 1.9, 0.2], 1.75, [3, 4]),
        ([], 1.75, []),
    ],
)
def test_a_token_ends_a_phrase_where_the_next_is_uncertain(entropies, threshold, ends):
    assert phrase_ends(entropies, threshold) == ends


def test_ends_are_spans_that_partition_the_text():
    text = "the cat saw the dog"
    tokens = [Span(0, 3), Span(3, 7), Span(7, 11), Span(11, 15), Span(15, 19)]
    assert [span.of(text) for span in cut_phrases(text, tokens, H, 1.75)] == ["the cat ", "saw the ", "dog"]
    assert cut_phrases(text, tokens, H, 1000.0) == (Span(0, 19),)
    assert cut_phrases("", [], [], 1.75) == ()
    assert cut_phrases("  ", [Span(0, 2)], [3.0], 1.75) == (Span(0, 2),)


def test_two_tokens_of_one_character_are_not_parted():
    text = "a😀b"
    tokens = [Span(0, 1), Span(1, 2), Span(1, 2), Span(2, 3)]
    assert [span.of(text) for span in cut_phrases(text, tokens, [9.0] * 4, 1.0)] == ["a", "😀", "b"]


@given(st.lists(st.tuples(st.sampled_from([" a", "bc", "\n", " ", ".", "é"]), st.floats(0, 3)), max_size=12))
def test_any_text_is_partitioned_and_no_phrase_is_blank(tokens):
    text, spans = "", []
    for piece, _ in tokens:
        spans.append(Span(len(text), len(text) + len(piece)))
        text += piece
    cut = cut_phrases(text, spans, [entropy for _, entropy in tokens], 1.5)
    assert "".join(span.of(text) for span in cut) == text
    if text.strip():
        assert all(span.of(text).strip() for span in cut)


@given(
    st.lists(st.lists(st.floats(0.01, 4), min_size=4, max_size=20, unique=True), min_size=1, max_size=5),
    st.floats(1.5, 4),
)
def test_the_threshold_gives_phrases_of_the_wanted_length(rows, mean):
    tokens = sum(map(len, rows))
    threshold = phrase_threshold(rows, mean)
    count = sum(len(phrase_ends(row, threshold)) for row in rows)
    values = [value for row in rows for value in row[:-1]]
    if len(set(values)) == len(values):
        assert abs(count - tokens / mean) <= 0.5 + 1e-9 or count == len(rows)


def test_a_length_beyond_whole_texts_is_refused():
    with pytest.raises(DataError, match=r"Texts have 5.0 tokens on average, so phrases of 9 would be longer"):
        phrase_threshold([H], 9.0)
    with pytest.raises(DataError, match="No text has a token"):
        phrase_threshold([], 6.0)


def test_the_text_alone_has_no_phrases():
    with pytest.raises(ConfigError, match="Phrases are cut by a language model"):
        get_segmenter("phrase")
