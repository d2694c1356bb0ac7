"""How tokens become text, and which characters each token wrote.

By pieces where a token writes the same wherever it stands, byte by byte for GPT-2's alphabet, and by decoding every
prefix otherwise; a vocabulary says which way a tokenizer allows. Special tokens write nothing. Knows nothing of
segments.

Spans are in the order of the tokens. A token that wrote nothing has an empty one where the next token starts;
tokens that hold bytes of one character all cover it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, Protocol, TypeVar

from spanwise.text.tokens import TokenSpans

Pairs = list[tuple[int, int]]
TokenOf = Callable[[int], str | None]
"""The token string of an id, None for a special token; raises KeyError for an id that is not in the vocabulary."""
K = TypeVar("K")
V = TypeVar("V")
_UNFINISHED = "\udcff"
"""Stands for what a token writes that holds a part of a character: a lone surrogate, which is no text."""
_PIECEWISE = {"Metaspace", "WordPiece", "Replace", "Fuse", "StripLeft"}
_WITH_BYTES = {"ByteFallback", "Replace", "Fuse", "StripLeft"}
"""Decoders, alone or in sequence, under which a token writes the same wherever it stands, but for the first one and
for runs of byte tokens."""


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


class Vocabulary(Protocol):
    """One tokenizer, seen through its ids."""

    def spans(self, ids: Sequence[int]) -> tuple[str, TokenSpans]:
        """The text of `ids` and the span of each; raises KeyError for an id that is not in the vocabulary."""
        ...


class RustVocabulary:
    """A `tokenizers.Tokenizer`, whose decoder is followed where it is of a known kind."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        added: Mapping[int, Any] = backend.get_added_tokens_decoder()
        self._special = {id_ for id_, token in added.items() if token.special}
        self._token = cache(self._look_up)
        self._decoding = self._known_decoding()

    def spans(self, ids: Sequence[int]) -> tuple[str, TokenSpans]:
        if self._decoding:
            return self._decoding.spans(ids)
        special = [self._token(id_) is None for id_ in ids]
        return prefix_spans(special, lambda count: self._backend.decode(ids[:count]))

    def _known_decoding(self) -> Vocabulary | None:
        decoder = self._backend.decoder
        kinds = _decoder_kinds(decoder)
        if kinds == {"ByteLevel"}:
            return ByteLevelDecoding(self._token)
        if kinds and kinds <= _PIECEWISE:
            return PieceDecoding(self._token, decoder.decode, {})
        if kinds and kinds <= _WITH_BYTES:
            byte_ids = {self._backend.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
            return PieceDecoding(
                self._token, decoder.decode, {id_: b for id_, b in byte_ids.items() if id_ is not None}
            )
        return None

    def _look_up(self, id_: int) -> str | None:
        token = self._backend.id_to_token(id_) if 0 <= id_ < 2**32 else None  # the library counts in 32 bits
        if token is None:
            raise KeyError(id_)
        return None if id_ in self._special else token


class PlainVocabulary:
    """A tokenizer written in Python, of which nothing is known but that it decodes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special: set[int] = set(tokenizer.all_special_ids)

    def spans(self, ids: Sequence[int]) -> tuple[str, TokenSpans]:
        for id_ in ids:
            if not 0 <= id_ < len(self._tokenizer):
                raise KeyError(id_)
        return prefix_spans([id_ in self._special for id_ in ids], lambda count: self._decode(ids[:count]))

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _agreement(text: str, other: str) -> int:
    """How many characters two texts have in common from the start."""
    if other.startswith(text):
        return len(text)
    return next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))


def _byte_pairs(text: str, run: int, offset: int) -> Pairs:
    """The spans of `run` byte tokens that wrote `text`; bytes that a decoder stripped in front wrote nothing."""
    widths = [len(character.encode()) for character in text]
    if sum(widths) > run:  # not UTF-8: one U+FFFD for every byte
        widths = [1] * len(text)
    pairs = [(offset, offset)] * (run - sum(widths))
    for index, width in enumerate(widths, start=offset):
        pairs += [(index, index + 1)] * width
    return pairs


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


def _decoder_kinds(decoder: Any) -> set[str]:
    """What a decoder of the tokenizers library is made of; what looks across tokens is told apart by name."""
    if decoder is None:
        return set()
    state = json.loads(decoder.__getstate__())
    kinds: list[str] = []
    for part in state["decoders"] if state["type"] == "Sequence" else [state]:
        across = part["type"] == "Replace" and "Fuse" in kinds
        left = part["type"] == "Strip" and not part["stop"]
        kinds.append("ReplaceAcross" if across else "StripLeft" if left else part["type"])
    return set(kinds)
