"""What a tokenizer says about sampled ids: the token string of each, and the text of all.

Tokenizers are taken as they quack, so that this layer imports neither tokenizers nor transformers. Knows
nothing of segments; `decoding.py` holds the rules by which token strings become text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spanwise.text.decoding import ByteLevelDecoding, Extents, PieceDecoding, prefix_extents


class Vocabulary(Protocol):
    """One tokenizer, seen through its ids."""

    def token(self, id_: int) -> str | None:
        """The token string, None for a special token; raises KeyError for an id that is not in the vocabulary."""
        ...

    def extents(self, ids: Sequence[int], tokens: Sequence[str]) -> tuple[str, Extents]:
        """The text of `ids` (no special one among them; `tokens` are their strings) and the extent of each."""
        ...


class RustVocabulary:
    """A `tokenizers.Tokenizer`, whose decoder can be read and followed."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        added: Mapping[int, Any] = backend.get_added_tokens_decoder()
        self._special = {id_ for id_, token in added.items() if token.special}
        self._bytes: ByteLevelDecoding | None = None
        self._pieces: PieceDecoding | None = None
        decoder = backend.decoder
        state = decoder.__getstate__().decode() if decoder else "{}"
        if json.loads(state).get("type") == "ByteLevel":
            self._bytes = ByteLevelDecoding()
        elif decoder:
            self._pieces = PieceDecoding(decoder.decode, byte_fallback="ByteFallback" in state)

    def token(self, id_: int) -> str | None:
        token = self._backend.id_to_token(id_) if id_ >= 0 else None
        if token is None:
            raise KeyError(id_)
        return None if id_ in self._special else token

    def extents(self, ids: Sequence[int], tokens: Sequence[str]) -> tuple[str, Extents]:
        """Follows the decoder; where pieces do not add up to what it writes, decodes every prefix instead."""
        if self._bytes:
            return self._bytes.extents(tokens)
        if self._pieces:
            text, extents = self._pieces.extents(tokens)
            if text == self._backend.decode(ids):
                return text, extents
        return prefix_extents(lambda count: self._backend.decode(ids[:count]), len(ids))


class PlainVocabulary:
    """A tokenizer written in Python, of which nothing is known but that it decodes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special: set[int] = set(tokenizer.all_special_ids)

    def token(self, id_: int) -> str | None:
        if not 0 <= id_ < len(self._tokenizer):
            raise KeyError(id_)
        return None if id_ in self._special else self._tokenizer.convert_ids_to_tokens(id_)

    def extents(self, ids: Sequence[int], tokens: Sequence[str]) -> tuple[str, Extents]:  # noqa: ARG002 -- protocol
        """Decodes every prefix."""
        return prefix_extents(
            lambda count: self._tokenizer.decode(ids[:count], clean_up_tokenization_spaces=False), len(ids)
        )
