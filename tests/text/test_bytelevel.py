"""Byte streams against Python's own UTF-8 decoder."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from spanwise.text.decoding import ByteLevelDecoding

SPELL = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
SAMPLE = "".join(
    map(chr, (*range(0x800), *range(0x800, 0xD800, 64), *range(0xE000, 0x10000, 64), *range(0x10000, 0x110000, 4096)))
)
BYTE_CHARACTER = dict(zip(SAMPLE.encode(), SPELL.pre_tokenize_str(SAMPLE)[0][0], strict=True))
"""The library's character for each byte that UTF-8 can hold."""


def extents_of(*tokens):
    """Of token strings, None for a special one."""
    text, spans = ByteLevelDecoding(dict(enumerate(tokens)).__getitem__).spans(range(len(tokens)))
    return text, spans.pairs()


near_utf8 = st.lists(
    st.one_of(
        st.sampled_from(sorted(BYTE_CHARACTER)).map(lambda byte: bytes([byte])),
        st.sampled_from([character.encode() for character in "aé€😀\ufffd"]),
        st.sampled_from([b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\xaf"]),
    ),
    max_size=10,
)


@given(near_utf8)
@settings(deadline=None)
def test_bytes_decode_as_python_decodes_them_and_every_token_has_its_characters(pieces):
    data = b"".join(pieces)
    text, extents = extents_of(*("".join(BYTE_CHARACTER[byte] for byte in piece) for piece in pieces))
    assert text == data.decode(errors="replace")
    owners = character_of_each_byte(data)
    at = 0
    for piece, extent in zip(pieces, extents, strict=True):
        assert extent == (owners[at], owners[at + len(piece) - 1] + 1)
        at += len(piece)


def character_of_each_byte(data):
    """By Python's codec alone: a byte lies in the last character of the text up to and including it.

    Up to a byte in the middle of a character, the codec sees one ill-formed sequence, which is one character too.
    """
    return [len(data[:end].decode(errors="replace")) - 1 for end in range(1, len(data) + 1)]


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        ([b"\xf0", b"\x9f", b"\x98", b"a"], "\ufffda", [(0, 1), (0, 1), (0, 1), (1, 2)]),  # cut short: one U+FFFD
        ([b"\xf0\x9f", b"\x98\x80b"], "😀b", [(0, 1), (0, 2)]),
        ([b"\xed", b"\xa0\x80"], "\ufffd\ufffd\ufffd", [(0, 1), (1, 3)]),  # a surrogate: each byte is ill-formed
    ],
)
def test_characters_of_parts(pieces, text, expected):
    tokens = ["".join(BYTE_CHARACTER[byte] for byte in piece) for piece in pieces]
    assert extents_of(*tokens) == (text, expected)


def test_none_writes_nothing_where_the_next_token_starts():
    text, extents = extents_of(None, "a", None, "b", None)
    assert (text, extents) == ("ab", [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)])


def test_a_token_outside_the_byte_alphabet_stands_for_itself():
    assert extents_of("Ġa", "日 本") == (" a日 本", [(0, 2), (2, 5)])
