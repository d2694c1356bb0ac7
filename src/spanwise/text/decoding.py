"""How tokens become text, and which characters each token wrote: by pieces, or by decoding every prefix.

Special tokens write nothing. Knows nothing of segments; `bytelevel.py` holds the third way, for GPT-2's bytes.

Spans are in the order of the tokens. A token that wrote nothing has an empty one where the next token starts;
tokens that hold bytes of one character all cover it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from spanwise.text.token_spans import TokenSpans

Pairs = list[tuple[int, int]]
TokenOf = Callable[[int], str | None]
"""The token string of an id, None for a special token; raises KeyError for an id that is not in the vocabulary."""

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """What a function says, asked once per argument; `map` over its `__getitem__` runs at the speed of a dict."""

    def __init__(self, function: Callable[[K], V]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: K) -> V:
        value = self[key] = self._function(key)
        return value


class PieceDecoding:
    """SentencePiece and WordPiece: a token's text depends only on whether it comes first.

    What a token writes is learned from `decode`, once per id. `byte_of` has the ids of byte tokens such as `<0xE2>`
    where the decoder knows them: a run of them is UTF-8 as a whole, or each is U+FFFD.
    """

    def __init__(self, token: TokenOf, decode: Callable[[list[str]], str], byte_of: Mapping[int, int]) -> None:
        self._token = token
        self._decode = decode
        self._byte_of = byte_of
        self._first = Remembered(self._alone)
        self._later = Remembered(self._after_itself)

    def spans(self, ids: Sequence[int]) -> tuple[str, TokenSpans]:
        """The text and the span of each token."""
        if self._byte_of and not self._byte_of.keys().isdisjoint(ids):
            written = [id_ for id_ in ids if self._token(id_) is not None]
            text, pairs = self._with_runs(written)
            return text, with_special([self._token(id_) is None for id_ in ids], pairs, len(text))
        pieces = list(map(self._later.__getitem__, ids))
        first = next((index for index, id_ in enumerate(ids) if self._token(id_) is not None), None)
        if first is not None:
            pieces[first] = self._first[ids[first]]
        return "".join(pieces), TokenSpans.of_pieces(pieces)

    def _with_runs(self, ids: list[int]) -> tuple[str, Pairs]:
        parts: list[str] = []
        pairs: Pairs = []
        position = 0
        while len(pairs) < len(ids):
            index = len(pairs)
            end = index
            while end < len(ids) and ids[end] in self._byte_of:
                end += 1
            if end > index:
                text = self._run_text(ids[index:end], first=index == 0)
                pairs += _byte_pairs(text, end - index, position)
            else:
                text = (self._later if index else self._first)[ids[index]]
                pairs.append((position, position + len(text)))
            parts.append(text)
            position += len(text)
        return "".join(parts), pairs

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


def prefix_spans(special: Sequence[bool], decode: Callable[[int], str]) -> tuple[str, TokenSpans]:
    """The text and spans for an unknown decoder, where decode(n) is the text of the first n tokens.

    Costs one decoding per token. A token after which the text so far is no prefix of the whole text holds
    a part of the next character, and covers it.
    """
    text = decode(len(special))
    written: Pairs = []
    start = 0
    for count in (index + 1 for index, is_special in enumerate(special) if not is_special):
        so_far = decode(count)
        agreed = _agreement(so_far, text)
        end = max(start, agreed)
        written.append((start, end + 1 if agreed < min(len(so_far), len(text)) else end))
        start = end
    return text, with_special(special, written, len(text))


def with_special(special: Sequence[bool], written: Pairs, end: int) -> TokenSpans:
    """The spans of all tokens, from those of the ones that are not special and the length of the text."""
    last_first: Pairs = []
    remaining, start = reversed(written), end
    for is_special in reversed(special):
        last_first.append((start, start) if is_special else next(remaining))
        start = last_first[-1][0]
    return TokenSpans.of_pairs(reversed(last_first))


def _agreement(one: str, other: str) -> int:
    """How many characters two texts have in common from the start."""
    if other.startswith(one):
        return len(one)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _byte_pairs(text: str, run: int, offset: int) -> Pairs:
    """The spans of `run` byte tokens that wrote `text`; bytes that a decoder stripped in front wrote nothing."""
    widths = [len(character.encode()) for character in text]
    if sum(widths) > run:  # not UTF-8: one U+FFFD for every byte
        widths = [1] * len(text)
    pairs = [(offset, offset)] * (run - sum(widths))
    for index, width in enumerate(widths, start=offset):
        pairs += [(index, index + 1)] * width
    return pairs
