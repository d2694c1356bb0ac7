"""How token strings become text, and which characters each token wrote.

Three ways, fastest first: byte-level decoders are followed byte by byte; decoders whose tokens decode the
same wherever they stand (SentencePiece, WordPiece) piece by piece; anything else by decoding every prefix.
Knows nothing of ids, special tokens or segments: `alignment.py` takes those away before it asks.

An extent is a pair (start, end) of character offsets. Extents follow the order of the tokens. A token
that wrote nothing has an empty one; tokens that share the bytes of a character all cover that character.
"""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

Extents = list[tuple[int, int]]
Decode = Callable[[list[str]], str]
"""A decoder of the tokenizers library: token strings to text."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class ByteLevelDecoding:
    """GPT-2's scheme: each character of a token stands for one byte, and a token may end inside a character."""

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}

    def extents(self, tokens: Sequence[str]) -> tuple[str, Extents]:
        """The text and the extent of every token; bytes that are no UTF-8 become U+FFFD."""
        pieces = [self._bytes.get(token) or self._remember(token) for token in tokens]
        data = b"".join(pieces)
        ends = list(accumulate(map(len, pieces)))
        if data.isascii():
            return data.decode("ascii"), list(zip([0, *ends], ends, strict=False))
        text, owner = _characters_of_bytes(data)
        return text, [
            (owner[start], owner[end - 1] + 1 if end > start else owner[start])
            for start, end in zip([0, *ends], ends, strict=False)
        ]

    def _remember(self, token: str) -> bytes:
        """A token outside the byte alphabet (one that was added as plain text) stands for itself."""
        known = all(character in _BYTE_OF for character in token)
        self._bytes[token] = bytes(_BYTE_OF[character] for character in token) if known else token.encode()
        return self._bytes[token]


class PieceDecoding:
    """SentencePiece and WordPiece: a token's text depends only on whether it comes first.

    What a token writes is learned from the decoder itself, once per token. With `byte_fallback`, runs of
    tokens such as `<0xE2>` are the bytes of characters: all of a run is UTF-8, or each byte is U+FFFD.
    """

    def __init__(self, decode: Decode, *, byte_fallback: bool) -> None:
        self._decode = decode
        self._byte_fallback = byte_fallback
        self._first: dict[str, str] = {}
        self._later: dict[str, str] = {}

    def extents(self, tokens: Sequence[str]) -> tuple[str, Extents]:
        """The text and the extent of every token."""
        parts: list[str] = []
        extents: Extents = []
        position = index = 0
        while index < len(tokens):
            run = self._run_length(tokens, index)
            text = self._run_text(tokens[index : index + run]) if run else self._piece(tokens[index], first=index == 0)
            if run and index == 0:
                text = text[len(text) - len(self._decode(list(tokens[:run]))) :]
            extents += _byte_extents(text, run, position) if run else [(position, position + len(text))]
            parts.append(text)
            position += len(text)
            index += max(run, 1)
        return "".join(parts), extents

    def _run_length(self, tokens: Sequence[str], start: int) -> int:
        """How many byte tokens follow one another from `start` on."""
        end = start
        while self._byte_fallback and end < len(tokens) and _BYTE_TOKEN.fullmatch(tokens[end]):
            end += 1
        return end - start

    def _run_text(self, run: Sequence[str]) -> str:
        try:
            return bytes(int(token[3:5], 16) for token in run).decode()
        except UnicodeDecodeError:
            return "\ufffd" * len(run)

    def _piece(self, token: str, *, first: bool) -> str:
        memory = self._first if first else self._later
        if token not in memory:
            alone = self._decode([token])
            memory[token] = alone if first else self._decode([token, token])[len(alone) :]
        return memory[token]


def prefix_extents(decode: Callable[[int], str], count: int) -> tuple[str, Extents]:
    """The text and extents of `count` tokens of an unknown decoder, where decode(n) is the text of the first n.

    Costs one decoding per token. A token after which the text so far is no prefix of the whole text holds
    a part of the next character, and covers it.
    """
    text = decode(count)
    extents: Extents = []
    start = 0
    for index in range(1, count + 1):
        so_far = decode(index)
        agreed = _agreement(so_far, text)
        end = max(start, agreed)
        extents.append((start, end + 1 if agreed < min(len(so_far), len(text)) else end))
        start = end
    return text, extents


def _agreement(one: str, other: str) -> int:
    """How many characters two texts have in common from the start."""
    if other.startswith(one):
        return len(one)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte: itself where it prints, else the next free one from U+0100 on."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(256 + index): byte for index, byte in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()


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


def _byte_extents(text: str, run: int, offset: int) -> Extents:
    """The extents of `run` byte tokens that wrote `text`; bytes that a decoder stripped in front wrote nothing."""
    widths = [len(character.encode()) for character in text]
    if sum(widths) > run:  # not UTF-8: one U+FFFD for every byte
        widths = [1] * len(text)
    extents = [(offset, offset)] * (run - sum(widths))
    for index, width in enumerate(widths, start=offset):
        extents += [(index, index + 1)] * width
    return extents
