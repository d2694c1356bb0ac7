"""Byte-level BPE (GPT-2 and its heirs): each character of a token string stands for one byte of the text.

A token may end inside a character; whatever shares the bytes of a character has the whole of it. Knows nothing of
segments.
"""

from collections.abc import Sequence
from itertools import accumulate

from spanwise.text.decoding import Remembered, TokenOf
from spanwise.text.token_spans import TokenSpans


class ByteLevelDecoding:
    """Follows the bytes of the tokens; each token is looked at once and then remembered."""

    def __init__(self, token: TokenOf) -> None:
        self._token = token
        self._bytes = Remembered(self._bytes_of)
        self._text = Remembered(self._text_of)

    def spans(self, ids: Sequence[int]) -> tuple[str, TokenSpans]:
        """The text and the span of each token; bytes that are no UTF-8 become U+FFFD."""
        pieces = list(map(self._text.__getitem__, ids))
        text = "".join(pieces)
        if _UNFINISHED not in text:
            return text, TokenSpans.of_pieces(pieces)
        byte_pieces = list(map(self._bytes.__getitem__, ids))
        text, owner = _characters_of_bytes(b"".join(byte_pieces))
        return text, TokenSpans.of_pairs(
            (owner[start], owner[end - 1] + 1 if end > start else owner[start])
            for start, end in TokenSpans.of_pieces(byte_pieces).pairs()
        )

    def _bytes_of(self, id_: int) -> bytes:
        """A token outside the byte alphabet (one that was added as plain text) stands for itself."""
        token = self._token(id_) or ""
        known = all(character in _BYTE_OF for character in token)
        return bytes(_BYTE_OF[character] for character in token) if known else token.encode()

    def _text_of(self, id_: int) -> str:
        """What the token writes by itself; _UNFINISHED where that depends on its neighbours."""
        try:
            return self._bytes_of(id_).decode()
        except UnicodeDecodeError:
            return _UNFINISHED


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte: itself where it prints, else the next free one from U+0100 on."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(256 + index): byte for index, byte in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()
_UNFINISHED = "\udcff"
"""Stands for what a token writes that holds a part of a character: a lone surrogate, which is no text."""


def _characters_of_bytes(data: bytes) -> tuple[str, list[int]]:
    """UTF-8 text with U+FFFD for each ill-formed sequence, and the character of every byte and of the end."""
    parts: list[str] = []
    owner: list[int] = []
    position = start = 0
    while start < len(data):
        try:
            good, bad = data[start:], b""
            valid = good.decode()
        except UnicodeDecodeError as error:
            good, bad = data[start : start + error.start], data[start + error.start : start + error.end]
            valid = good.decode()
        counts = accumulate(byte & 0xC0 != 0x80 for byte in good)
        owner += [position + count - 1 for count in counts]
        position += len(valid)
        if bad:
            owner += [position] * len(bad)
            position += 1
        parts.append(valid + "\ufffd" * bool(bad))
        start += len(good) + len(bad)
    return "".join(parts), [*owner, position]
