"""How token strings become text, and which characters each token wrote: by pieces, or by decoding every prefix.

Special tokens, which write nothing, are None among the token strings. Knows nothing of ids or segments;
`bytelevel.py` holds the third way, for GPT-2's bytes.

An extent is a pair (start, end) of character offsets, one per token and in their order. A token that wrote
nothing has an empty one where the next token starts; tokens that hold bytes of one character all cover it.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate

Extents = list[tuple[int, int]]
Decode = Callable[[list[str]], str]
"""A decoder of the tokenizers library: token strings to text."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def consecutive(pieces: Sequence[str] | Sequence[bytes]) -> Extents:
    """The extents of pieces that follow one another."""
    ends = list(accumulate(map(len, pieces)))
    return list(zip([0, *ends], ends, strict=False))


class PieceDecoding:
    """SentencePiece and WordPiece: a token's text depends only on whether it comes first.

    What a token writes is learned from the decoder itself, once per token. With `byte_fallback`, runs of
    tokens such as `<0xE2>` are the bytes of characters: all of a run is UTF-8, or each byte is U+FFFD.
    """

    def __init__(self, decode: Decode, *, byte_fallback: bool) -> None:
        self._decode = decode
        self._byte_fallback = byte_fallback
        self._first = cache(self._alone)
        self._later = cache(self._after_itself)

    def extents(self, tokens: Sequence[str | None]) -> tuple[str, Extents]:
        """The text and the extents."""
        written = [token for token in tokens if token is not None]
        if self._byte_fallback and any(map(_BYTE_TOKEN.fullmatch, written)):
            text, extents = self._with_runs(written)
        else:
            pieces = [*map(self._first, written[:1]), *map(self._later, written[1:])]
            text, extents = "".join(pieces), consecutive(pieces)
        return text, _with_special(tokens, extents, len(text))

    def _with_runs(self, tokens: list[str]) -> tuple[str, Extents]:
        parts: list[str] = []
        extents: Extents = []
        position = 0
        while len(extents) < len(tokens):
            index = len(extents)
            run = self._run_length(tokens, index)
            if run:
                text = self._run_text(tokens[index : index + run], first=index == 0)
                extents += _byte_extents(text, run, position)
            else:
                text = (self._later if index else self._first)(tokens[index])
                extents.append((position, position + len(text)))
            parts.append(text)
            position += len(text)
        return "".join(parts), extents

    def _alone(self, token: str) -> str:
        return self._decode([token])

    def _after_itself(self, token: str) -> str:
        return self._decode([token, token])[len(self._decode([token])) :]

    def _run_length(self, tokens: list[str], start: int) -> int:
        """How many byte tokens follow one another from `start` on."""
        end = start
        while end < len(tokens) and _BYTE_TOKEN.fullmatch(tokens[end]):
            end += 1
        return end - start

    def _run_text(self, run: list[str], *, first: bool) -> str:
        try:
            text = bytes(int(token[3:5], 16) for token in run).decode()
        except UnicodeDecodeError:
            return "\ufffd" * len(run)
        return text[len(text) - len(self._decode(run)) :] if first else text


def prefix_extents(tokens: Sequence[str | None], decode: Callable[[int], str]) -> tuple[str, Extents]:
    """The text and extents for an unknown decoder, where decode(n) is the text of the first n tokens.

    Costs one decoding per token. A token after which the text so far is no prefix of the whole text holds
    a part of the next character, and covers it.
    """
    text = decode(len(tokens))
    written: Extents = []
    start = 0
    for index, token in enumerate(tokens, start=1):
        if token is None:
            continue
        so_far = decode(index)
        agreed = _agreement(so_far, text)
        end = max(start, agreed)
        written.append((start, end + 1 if agreed < min(len(so_far), len(text)) else end))
        start = end
    return text, _with_special(tokens, written, len(text))


def _with_special(tokens: Sequence[str | None], written: Extents, end: int) -> Extents:
    """The extents of all tokens, from those of the ones that are not special and the length of the text."""
    if len(written) == len(tokens):
        return written
    last_first: Extents = []
    remaining, start = reversed(written), end
    for token in reversed(tokens):
        last_first.append((start, start) if token is None else next(remaining))
        start = last_first[-1][0]
    return last_first[::-1]


def _agreement(one: str, other: str) -> int:
    """How many characters two texts have in common from the start."""
    if other.startswith(one):
        return len(one)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _byte_extents(text: str, run: int, offset: int) -> Extents:
    """The extents of `run` byte tokens that wrote `text`; bytes that a decoder stripped in front wrote nothing."""
    widths = [len(character.encode()) for character in text]
    if sum(widths) > run:  # not UTF-8: one U+FFFD for every byte
        widths = [1] * len(text)
    extents = [(offset, offset)] * (run - sum(widths))
    for index, width in enumerate(widths, start=offset):
        extents += [(index, index + 1)] * width
    return extents
