"""Byte streams against Python's own UTF-8 decoder, pieces and prefixes against decoders written out here."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from spanwise.text.decoding import ByteLevelDecoding, PieceDecoding, prefix_extents

SPELL = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
SAMPLE = "".join(
    map(chr, (*range(0x800), *range(0x800, 0xD800, 64), *range(0xE000, 0x10000, 64), *range(0x10000, 0x110000, 4096)))
)
BYTE_CHARACTER = dict(zip(SAMPLE.encode(), SPELL.pre_tokenize_str(SAMPLE)[0][0], strict=True))
"""The library's character for each byte that UTF-8 can hold."""

near_utf8 = st.lists(
    st.one_of(
        st.sampled_from(sorted(BYTE_CHARACTER)).map(lambda byte: bytes([byte])),
        st.sampled_from([character.encode() for character in "aé€😀\ufffd"]),
        st.sampled_from([b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\xaf"]),
    ),
    max_size=10,
)


@given(near_utf8)
@example([b"\xf0", b"\x9f", b"\x98", b"a"])
@settings(deadline=None)
def test_bytes_decode_as_python_decodes_them(pieces):
    tokens = ["".join(BYTE_CHARACTER[byte] for byte in piece) for piece in pieces]
    text, extents = ByteLevelDecoding().extents(tokens)
    assert text == b"".join(pieces).decode(errors="replace")
    # A token reaches to the end of what is decoded with it, and from the end of what is decoded without it, give
    # or take the one character that it shares with a neighbour.
    for index, (start, end) in enumerate(extents):
        before = b"".join(pieces[:index]).decode(errors="ignore")
        assert start in {len(before), *(e for _, e in extents[:index]), *(s for s, _ in extents[:index])}
        assert end - start <= len(pieces[index])
        assert end > start


def test_none_writes_nothing_where_the_next_token_starts():
    text, extents = ByteLevelDecoding().extents([None, "a", None, "b", None])
    assert (text, extents) == ("ab", [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)])


def test_a_token_outside_the_byte_alphabet_stands_for_itself():
    assert ByteLevelDecoding().extents(["Ġa", "日 本"]) == (" a日 本", [(0, 2), (2, 5)])


def test_pieces_are_learned_from_the_decoder_and_the_first_is_its_own_case():
    calls = []

    def decode(tokens):
        calls.append(tokens)
        return "".join(tokens).replace("_", " ").removeprefix(" ")

    decoding = PieceDecoding(decode, byte_fallback=False)
    assert decoding.extents(["_a", "_b", "c"]) == ("a bc", [(0, 1), (1, 3), (3, 4)])
    asked = len(calls)
    assert decoding.extents([None, "_a", "c", "_b"]) == ("ac b", [(0, 0), (0, 1), (1, 2), (2, 4)])
    assert len(calls) == asked  # every token was known by then


def test_prefixes_of_a_decoder_that_looks_back():
    """A decoder that writes a character only when both of its halves are there."""

    def decode(count):
        return "".join(["a", "?", "é", "b"][:count]).replace("?é", "é")

    assert prefix_extents(["a", "<", ">", "b"], decode) == ("aéb", [(0, 1), (1, 2), (1, 2), (2, 3)])
