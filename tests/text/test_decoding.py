"""Pieces and prefixes against decoders written out here."""

from spanwise.text.decoding import PieceDecoding, prefix_spans


def test_pieces_are_learned_from_the_decoder_and_the_first_is_its_own_case():
    calls = []

    def decode(tokens):
        calls.append(tokens)
        return "".join(tokens).replace("_", " ").removeprefix(" ")

    decoding = PieceDecoding(["_a", "_b", "c", None].__getitem__, decode, {})
    text, spans = decoding.spans([0, 1, 2])
    assert (text, spans.pairs()) == ("a bc", [(0, 1), (1, 3), (3, 4)])
    asked = len(calls)
    text, spans = decoding.spans([3, 0, 2, 1])
    assert (text, spans.pairs()) == ("ac b", [(0, 0), (0, 1), (1, 2), (2, 4)])
    assert len(calls) == asked  # every token was known by then


def test_prefixes_of_a_decoder_that_looks_back():
    """A decoder that writes a character only when both of its halves are there."""

    def decode(count):
        return "".join(["a", "?", "é", "b"][:count]).replace("?é", "é")

    text, spans = prefix_spans([False] * 4, decode)
    assert (text, spans.pairs()) == ("aéb", [(0, 1), (1, 2), (1, 2), (2, 3)])
