"""What a tokenizer says about sampled ids: the text of all and the characters of each.

Tokenizers are taken as they quack, so that this layer imports neither tokenizers nor transformers. Knows
nothing of segments; `decoding.py` and `bytelevel.py` hold the rules by which tokens become text.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from spanwise.text.bytelevel import ByteLevelDecoding
from spanwise.text.decoding import PieceDecoding, prefix_spans
from spanwise.text.token_spans import TokenSpans

_PIECEWISE = {"Metaspace", "WordPiece", "Replace", "Fuse", "StripLeft"}
_WITH_BYTES = {"ByteFallback", "Replace", "Fuse", "StripLeft"}
"""Decoders, alone or in sequence, under which a token writes the same wherever it stands, but for the first one and
for runs of byte tokens."""


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
            found = {self._backend.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
            return PieceDecoding(self._token, decoder.decode, {id_: b for id_, b in found.items() if id_ is not None})
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
