"""Tokenizers written in Python, and backends without a decoder, go through prefix decoding."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import ByT5Tokenizer

from spanwise.text.alignment import TokenAligner
from spanwise.text.decoding import PlainVocabulary, RustVocabulary
from spanwise.text.spans import Span

BYT5 = ByT5Tokenizer(extra_ids=0)
FIRST_BYTE = 3  # after <pad>, </s> and <unk>


@given(st.lists(st.integers(0, 258), max_size=12))
@settings(deadline=None)
def test_a_python_tokenizer_is_aligned_by_its_own_decoder(ids):
    aligned = TokenAligner(BYT5).align(ids)
    assert aligned.text == BYT5.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert {at for span in aligned.spans for at in range(span.start, span.end)} == set(range(len(aligned.text)))


def test_byt5_gives_a_character_to_the_token_that_completes_it():
    ids = [byte + FIRST_BYTE for byte in "aé".encode()] + [BYT5.eos_token_id]
    assert isinstance(TokenAligner(BYT5)._vocabulary, PlainVocabulary)
    assert TokenAligner(BYT5).align(ids).spans == (Span(0, 1), Span(1, 1), Span(1, 2), Span(2, 2))


def test_a_backend_without_decoder_joins_words_with_spaces():
    backend = Tokenizer(models.WordLevel({"a": 0, "bc": 1}, unk_token="a"))
    aligned = TokenAligner(backend).align([0, 1, 1])
    assert aligned.text == backend.decode([0, 1, 1]) == "a bc bc"
    assert [span.of(aligned.text) for span in aligned.spans] == ["a", " bc", " bc"]


def test_a_decoder_that_replaces_across_tokens_is_not_taken_piece_by_piece():
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    backend.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "X")])
    text, spans = RustVocabulary(backend).spans([1, 0, 1])
    assert (text, spans.pairs()) == ("bX", [(0, 1), (1, 2), (1, 2)])


def test_a_decoder_that_strips_the_right_edge_is_not_taken_piece_by_piece():
    backend = Tokenizer(models.WordLevel({"a": 0, "b_": 1}, unk_token="a"))
    strip = decoders.Strip(content=" ", left=0, right=1)
    backend.decoder = decoders.Sequence([decoders.Replace("_", " "), decoders.Fuse(), strip])
    text, spans = RustVocabulary(backend).spans([1, 0, 1])
    assert (text, spans.pairs()) == ("b ab", [(0, 1), (1, 3), (3, 4)])
