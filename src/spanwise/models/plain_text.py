"""Token ids of text that people wrote, in which the name of a special token is a word like any other.

Someone who types `</s>` or `<|endoftext|>` into a question, a passage or an answer means these characters. Read as
special tokens they would end an answer, hide text from a model, or pass for the marks of a chat. Only what a tokenizer
adds of itself (a BOS, an EOS) is special here. Knows nothing of models.
"""

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
        self._special = frozenset(special - {cast("int | None", tokenizer.unk_token_id)})
        # mistral-common reads no special token in text and refuses to be told so.
        mistral = getattr(tokenizer, "backend", None) == "mistral_common"
        self._options = {"verbose": False, "return_special_tokens_mask": True} | (
            {} if mistral else {"split_special_tokens": True}
        )

    def ids(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The ids of one text."""
        found = self._tokenizer(text, add_special_tokens=add_special_tokens, **self._options)
        return self._spelled(found["input_ids"], found["special_tokens_mask"])[0]

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        found = self._tokenizer(list(texts), **self._options)
        return [self._spelled(*row)[0] for row in zip(found["input_ids"], found["special_tokens_mask"], strict=True)]

    def located(self, texts: Sequence[str]) -> list[tuple[list[int], Offsets]]:
        """The ids of each text and the characters of each of them, as a fast tokenizer counts them."""
        found = self._tokenizer(list(texts), return_offsets_mapping=True, **self._options)
        rows = zip(found["input_ids"], found["special_tokens_mask"], found["offset_mapping"], strict=True)
        return [self._spelled(*row) for row in rows]

    def _spelled(
        self, ids: list[int], added: Sequence[int], offsets: Offsets | None = None
    ) -> tuple[list[int], Offsets]:
        """The same, with each special token that the tokenizer did not add written letter by letter.

        Unigram and word-level models have special tokens among their words, where not looking for them is not enough.
        """
        places: Iterable[tuple[int, int]] = offsets or ((0, 0) for _ in ids)
        if not any(id_ in self._special and not own for id_, own in zip(ids, added, strict=True)):
            return ids, offsets or []
        spelled: list[tuple[int, tuple[int, int]]] = []
        for id_, own, (start, end) in zip(ids, added, places, strict=True):
            if own or id_ not in self._special:
                spelled.append((id_, (start, end)))
                continue
            letters = cast("list[int | None]", [self._tokenizer.convert_tokens_to_ids(c) for c in self._name(id_)])
            spelled += [
                (letter, (min(start + k, end), min(start + k + 1, end)))
                for k, letter in enumerate(letters)
                if letter is not None
            ]
        return [id_ for id_, _ in spelled], [place for _, place in spelled]

    def _name(self, id_: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(id_))
