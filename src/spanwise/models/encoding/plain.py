"""Plain text as token ids: what a text says is characters, whatever special tokens are called. Knows no models."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

Offsets = list[tuple[int, int]]


class TextEncoder:
    """Encodes plain text for one tokenizer; text without the name of a special token has the tokenizer's own ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer: Any = tokenizer
        added = cast("dict[int, Any]", tokenizer.added_tokens_decoder)
        special = {id_ for id_, token in added.items() if token.special} | set(tokenizer.all_special_ids)
        self.special = frozenset(special - {cast("int | None", tokenizer.unk_token_id)})
        """The ids of special tokens, but for the unknown one, which any text may have."""
        # mistral-common reads no special token in text and refuses to be told so.
        mistral = getattr(tokenizer, "backend", None) == "mistral_common"
        self._options = {"verbose": False, "return_special_tokens_mask": True} | (
            {} if mistral else {"split_special_tokens": True}
        )

    def ids(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The ids of one text."""
        encoding = self._tokenizer(text, add_special_tokens=add_special_tokens, **self._options)
        return self._spelled(encoding["input_ids"], encoding["special_tokens_mask"])[0]

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        encoding = self._tokenizer(list(texts), **self._options)
        return [
            self._spelled(*row)[0] for row in zip(encoding["input_ids"], encoding["special_tokens_mask"], strict=True)
        ]

    def located(self, texts: Sequence[str], *, add_special_tokens: bool = True) -> list[tuple[list[int], Offsets]]:
        """The ids of each text and the characters of each of them, as a fast tokenizer counts them."""
        encoding = self._tokenizer(
            list(texts), return_offsets_mapping=True, add_special_tokens=add_special_tokens, **self._options
        )
        rows = zip(encoding["input_ids"], encoding["special_tokens_mask"], encoding["offset_mapping"], strict=True)
        return [self._spelled(*row) for row in rows]

    @property
    def special_names(self) -> list[str]:
        """What the special tokens are called, the longest first."""
        return sorted(map(self._name, self.special), key=len, reverse=True)

    def _spelled(
        self, ids: list[int], added: Sequence[int], offsets: Offsets | None = None
    ) -> tuple[list[int], Offsets]:
        """The same, with each special token that the tokenizer did not add written letter by letter.

        Unigram and word-level models have special tokens among their words, where not looking for them is not enough.
        """
        places: Iterable[tuple[int, int]] = offsets or ((0, 0) for _ in ids)
        if not any(id_ in self.special and not is_added for id_, is_added in zip(ids, added, strict=True)):
            return ids, offsets or []
        spelled: list[tuple[int, tuple[int, int]]] = []
        for id_, is_added, (start, end) in zip(ids, added, places, strict=True):
            if is_added or id_ not in self.special:
                spelled.append((id_, (start, end)))
                continue
            letters = cast("list[int | None]", [self._tokenizer.convert_tokens_to_ids(c) for c in self._name(id_)])
            spelled += [
                (letter, (min(start + k, end), min(start + k + 1, end)))
                for k, letter in enumerate(letters)
                if letter is not None
            ]
        return [id_ for id_, _ in spelled], [letter_offsets for _, letter_offsets in spelled]

    def _name(self, id_: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(id_))
