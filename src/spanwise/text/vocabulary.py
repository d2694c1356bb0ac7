"""What a tokenizer says about sampled ids: the token string of each, and the text of all.

Tokenizers are taken as they quack, so that this layer imports neither tokenizers nor transformers. Knows
nothing of segments; `decoding.py` holds the rules by which token strings become text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spanwise.text.bytelevel import ByteLevelDecoding
from spanwise.text.decoding import Extents, PieceDecoding, prefix_extents

_PIECEWISE = {"Metaspace", "WordPiece", "Replace", "Fuse", "StripLeft"}
_WITH_BYTES = {"ByteFallback", "Replace", "Fuse", "StripLeft"}
"""Decoders, alone or in sequence, under which a token writes the same wherever it stands, but for the first one and
for runs of byte tokens."""


class Vocabulary(Protocol):
    """One tokenizer, seen through its ids."""

    def token(self, id_: int) -> str | None:
        """The token string, None for a special token; raises KeyError for an id that is not in the vocabulary."""
        ...

    def extents(self, ids: Sequence[int], tokens: Sequence[str | None]) -> tuple[str, Extents]:
        """The text of `ids`, of which `tokens` are the strings, and the extent of each."""
        ...


class RustVocabulary:
    """A `tokenizers.Tokenizer`, whose decoder can be read and followed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        added: Mapping[int, Any] = backend.get_added_tokens_decoder()
        self._special = {id_ for id_, token in added.items() if token.special}
        self._bytes: ByteLevelDecoding | None = None
        self._pieces: PieceDecoding | None = None
        kinds = _decoder_kinds(backend.decoder)
        if kinds == {"ByteLevel"}:
            self._bytes = ByteLevelDecoding()
        elif kinds and (kinds <= _PIECEWISE or kinds <= _WITH_BYTES):
            self._pieces = PieceDecoding(backend.decoder.decode, byte_fallback="ByteFallback" in kinds)

    def token(self, id_: int) -> str | None:
        token = self._backend.id_to_token(id_) if 0 <= id_ < 2**32 else None  # the library counts in 32 bits
        if token is None:
            raise KeyError(id_)
        return None if id_ in self._special else token

    def extents(self, ids: Sequence[int], tokens: Sequence[str | None]) -> tuple[str, Extents]:
        """Follows the decoder where it is of a known kind, else decodes every prefix."""
        if self._bytes:
            return self._bytes.extents(tokens)
        if self._pieces:
            return self._pieces.extents(tokens)
        return prefix_extents(tokens, lambda count: self._backend.decode(ids[:count]))


class PlainVocabulary:
    """A tokenizer written in Python, of which nothing is known but that it decodes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special: set[int] = set(tokenizer.all_special_ids)

    def token(self, id_: int) -> str | None:
        if not 0 <= id_ < len(self._tokenizer):
            raise KeyError(id_)
        return None if id_ in self._special else self._tokenizer.convert_ids_to_tokens(id_)

    def extents(self, ids: Sequence[int], tokens: Sequence[str | None]) -> tuple[str, Extents]:
        """Decodes every prefix."""
        return prefix_extents(tokens, lambda count: self._decode(ids[:count]))

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
