"""Which characters of the decoded response each sampled token wrote.

The text is decoded from the sampled ids and never tokenised again: a policy may sample a tokenisation that
its tokenizer would not choose. Knows nothing of segments or scores. `tokens.py` asks the reverse question;
its functions are at hand here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spanwise.core import DataError
from spanwise.text.decoding import PlainVocabulary, RustVocabulary, Vocabulary
from spanwise.text.tokens import TokenRangeMode, TokenSpans, last_token, token_range

__all__ = ["Alignment", "TokenAligner", "TokenRangeMode", "last_token", "token_range"]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A decoded response and one span per token.

    The spans cover the text without a gap, with ascending starts. They overlap only where tokens hold the bytes of
    one character: each of them then has the whole character. Special tokens, and tokens that wrote nothing, have
    an empty span where the next token starts.
    """

    text: str
    spans: TokenSpans

    def stripped(self) -> "Alignment":
        """The same alignment without the whitespace around the text: sources read what people read.

        Most tokenizers write the space between prompt and response into the response's first token.
        """
        text = self.text.strip()
        lead = len(self.text) - len(self.text.lstrip())
        return Alignment(text, TokenSpans.of(self.spans).within(lead, lead + len(text)))


class TokenAligner:
    """Aligns sampled ids of one tokenizer with the text that they decode to.

    `tokenizer` is a `tokenizers.Tokenizer`, a transformers tokenizer on top of one, or anything with `decode`,
    `convert_ids_to_tokens`, `all_special_ids` and a length. Its vocabulary must not change afterwards.
    """

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        rust = hasattr(backend, "get_added_tokens_decoder")
        self._vocabulary: Vocabulary = RustVocabulary(backend) if rust else PlainVocabulary(tokenizer)

    def align(self, ids: Sequence[int]) -> Alignment:
        """The decoded response and the span of every token.

        The text is what `tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)`
        gives. Raises DataError for an id that is not in the vocabulary.
        """
        try:
            text, spans = self._vocabulary.spans(ids)
        except KeyError as error:
            (id_,) = error.args
            raise DataError(
                f"Token id {id_} at position {ids.index(id_)} is not in the vocabulary; "
                "align responses with the tokenizer of the policy that sampled them."
            ) from error
        return Alignment(text, spans)
