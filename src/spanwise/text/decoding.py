"""How tokens become text, and which characters each token wrote: by pieces, or by decoding every prefix.

Special tokens write nothing. Knows nothing of segments; `bytelevel.py` holds the third way, for GPT-2's bytes.

An extent is a pair (start, end) of character offsets, one per token and in their order. A token that wrote
nothing has an empty one where the next token starts; tokens that hold bytes of one character all cover it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate

Extents = list[tuple[int, int]]
TokenOf = Callable[[int], str | None]
"""The token string of an id, None for a special token; raises KeyError for an id that is not in the vocabulary."""


def consecutive(pieces: Sequence[str] | Sequence[bytes]) -> Extents:
    """The extents of pieces that follow one another."""
    ends = list(accumulate(map(len, pieces)))
    return list(zip([0, *ends], ends, strict=False))


class PieceDecoding:
    """SentencePiece and WordPiece: a token's text depends only on whether it comes first.

    What a token writes is learned from `decode`, once per id. `byte_of` has the ids of byte tokens such as `<0xE2>`
    where the decoder knows them: a run of them is UTF-8 as a whole, or each is U+FFFD.
    """

    def __init__(self, token: TokenOf, decode: Callable[[list[str]], str], byte_of: Mapping[int, int]) -> None:
        self._token = token
        self._decode = decode
        self._byte_of = byte_of
        self._first = cache(self._alone)
        self._later = cache(self._after_itself)

    def extents(self, ids: Sequence[int]) -> tuple[str, Extents]:
        """The text and the extents."""
        if not self._byte_of.keys().isdisjoint(ids):
            written = [id_ for id_ in ids if self._token(id_) is not None]
            text, extents = self._with_runs(written)
            return text, with_special([self._token(id_) is None for id_ in ids], extents, len(text))
        pieces = list(map(self._later, ids))
        first = next((index for index, id_ in enumerate(ids) if self._token(id_) is not None), None)
        if first is not None:
            pieces[first] = self._first(ids[first])
        return "".join(pieces), consecutive(pieces)

    def _with_runs(self, ids: list[int]) -> tuple[str, Extents]:
        parts: list[str] = []
        extents: Extents = []
        position = 0
        while len(extents) < len(ids):
            index = len(extents)
            end = index
            while end < len(ids) and ids[end] in self._byte_of:
                end += 1
            if end > index:
                text = self._run_text(ids[index:end], first=index == 0)
                extents += _byte_extents(text, end - index, position)
            else:
                text = (self._later if index else self._first)(ids[index])
                extents.append((position, position + len(text)))
            parts.append(text)
            position += len(text)
        return "".join(parts), extents

    def _alone(self, id_: int) -> str:
        token = self._token(id_)
        return "" if token is None else self._decode([token])

    def _after_itself(self, id_: int) -> str:
        token = self._token(id_)
        return "" if token is None else self._decode([token, token])[len(self._decode([token])) :]

    def _run_text(self, run: list[int], *, first: bool) -> str:
        try:
            text = bytes(map(self._byte_of.__getitem__, run)).decode()
        except UnicodeDecodeError:
            return "\ufffd" * len(run)
        alone = self._decode([token for id_ in run if (token := self._token(id_))]) if first else text
        return text[len(text) - len(alone) :]


def prefix_extents(special: Sequence[bool], decode: Callable[[int], str]) -> tuple[str, Extents]:
    """The text and extents for an unknown decoder, where decode(n) is the text of the first n tokens.

    Costs one decoding per token. A token after which the text so far is no prefix of the whole text holds
    a part of the next character, and covers it.
    """
    text = decode(len(special))
    written: Extents = []
    start = 0
    for count in (index + 1 for index, is_special in enumerate(special) if not is_special):
        so_far = decode(count)
        agreed = _agreement(so_far, text)
        end = max(start, agreed)
        written.append((start, end + 1 if agreed < min(len(so_far), len(text)) else end))
        start = end
    return text, with_special(special, written, len(text))


def with_special(special: Sequence[bool], written: Extents, end: int) -> Extents:
    """The extents of all tokens, from those of the ones that are not special and the length of the text."""
    last_first: Extents = []
    remaining, start = reversed(written), end
    for is_special in reversed(special):
        last_first.append((start, start) if is_special else next(remaining))
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
