"""What a model is made of, told from its config and tokenizer without loading its weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError
from spanwise.feedback import Asked, PromptConfig, PromptRecord
from spanwise.models import adapter_base, check_downloaded, load_tokenizer
from spanwise.models.encoding import PromptEncoder, TextEncoder, stored_form
from spanwise.reward_models.network import is_causal

HALF = 2
FULL = 4
"""Bytes of a number in half and in single precision."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Sizes of a model; lengths in tokens."""

    place: str
    parameters: int
    """All weights, those of the vocabulary head included."""
    layers: int
    """Of encoder and decoder together."""
    hidden: int
    inner: int
    """Width of the feed-forward layers."""
    kv_width: int
    """Numbers that a token leaves in the cache of one layer, keys and values together."""
    vocabulary: int
    window: int | None
    """Longest input, None where the model sets no limit."""
    is_encoder_decoder: bool
    is_causal: bool
    """Whether it reads left to right and can say how likely a text is."""
    tokenizer: PreTrainedTokenizerBase
    form: PromptConfig
    """How it would read prompts by default."""

    @property
    def has_chat(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))


def examine_model(place: str | Path) -> Anatomy:
    """The sizes of the model at a folder or Hub name; of a PEFT adapter, those of its base model.

    Raises CheckpointError where there is no model or no tokenizer.
    """
    check_downloaded(place)
    source = str(adapter_base(place) or place)
    try:
        config: Any = AutoConfig.from_pretrained(source, local_files_only=Path(source).is_dir())
        with torch.device("meta"):
            body: Any = AutoModel.from_config(config)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise CheckpointError(
            f"{place}: no model can be read there ({first}); give a folder with config.json, weights and tokenizer, or "
            "a Hub name."
        ) from error
    text = config.get_text_config()
    hidden, heads = int(text.hidden_size), int(text.num_attention_heads)
    kv_heads = int(getattr(text, "num_key_value_heads", None) or heads)
    head_size = int(getattr(text, "head_dim", None) or getattr(text, "d_kv", None) or hidden // heads)
    window = getattr(text, "max_position_embeddings", None)
    weights = sum(parameter.numel() for parameter in body.parameters())
    tied = bool(getattr(config, "tie_word_embeddings", True))
    tokenizer = load_tokenizer(source)
    has_chat = bool(getattr(tokenizer, "chat_template", None))
    return Anatomy(
        place=str(place),
        parameters=weights + (0 if tied else int(text.vocab_size) * hidden),
        layers=int(text.num_hidden_layers) + int(getattr(text, "num_decoder_layers", None) or 0),
        hidden=hidden,
        inner=int(getattr(text, "intermediate_size", None) or getattr(text, "d_ff", None) or 4 * hidden),
        kv_width=2 * kv_heads * head_size,
        vocabulary=int(text.vocab_size),
        window=None if window is None else int(window),
        is_encoder_decoder=bool(config.is_encoder_decoder),
        is_causal=is_causal(config),
        tokenizer=tokenizer,
        form=PromptConfig().agreed(stored_form(config), has_chat=has_chat, place=str(place)),
    )


class Lengths:
    """Counts tokens as training and serving will, for one model in one form of prompt."""

    def __init__(self, model: Anatomy, asked: PromptConfig | None = None) -> None:
        form = model.form
        if asked is not None and asked != PromptConfig():
            form = asked.agreed(None, has_chat=model.has_chat, place=model.place)
        self._takes_turns = form.takes_turns
        self._prompts = PromptEncoder(model.tokenizer, form)
        self._texts = TextEncoder(model.tokenizer)

    def prompt(self, asked: Asked) -> int:
        """Tokens of a prompt with its passages."""
        if isinstance(asked, PromptRecord) and asked.verbatim:
            return len(self._texts.ids(asked.prompt))
        return len(self._prompts.ids(asked, asked.read_passages if isinstance(asked, PromptRecord) else asked.passages))

    def answer(self, text: str) -> int:
        """Tokens of an answer with the one that ends it."""
        if self._takes_turns:
            return len(self._prompts.answer(text)[0]) + 1
        return len(self._texts.ids(f" {text}", add_special_tokens=False)) + 1
