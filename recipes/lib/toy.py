"""Tiny models with random weights, with which a recipe is run whole where its own would not fit; nothing is downloaded.

They learn next to nothing: what a toy run shows is that files, settings and steps go together.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LongformerConfig,
    LongformerModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from spanwise.cli import app
from spanwise.core import SpanwiseError

WINDOW = 1024


def run_commands(commands: Iterable[Sequence[str]]) -> None:
    """Runs commands of `spanwise` one after the other; SystemExit where one fails."""
    for words in commands:
        print("spanwise", *words)
        try:
            app(list(words), standalone_mode=False)
        except SpanwiseError as error:
            raise SystemExit(f"spanwise {words[0]}: {error}") from error


def save_t5(folder: Path, texts: Iterable[str]) -> None:
    """An encoder-decoder of two layers each."""
    tokenizer = _tokenizer(texts)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.1,
        decoder_start_token_id=tokenizer.pad_token_id, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    _save(folder, T5ForConditionalGeneration, config, tokenizer)


def save_llama(folder: Path, texts: Iterable[str]) -> None:
    """A decoder of two layers."""
    tokenizer = _tokenizer(texts)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=WINDOW, initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    _save(folder, LlamaForCausalLM, config, tokenizer)


def save_longformer(folder: Path, texts: Iterable[str]) -> None:
    """An encoder of two layers that attends to the 16 tokens around each."""
    tokenizer = _tokenizer(texts)
    config = LongformerConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        attention_window=[16, 16], max_position_embeddings=WINDOW + 2, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, sep_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    _save(folder, LongformerModel, config, tokenizer)


def _save(folder: Path, kind: type[PreTrainedModel], config: object, tokenizer: PreTrainedTokenizerFast) -> None:
    with torch.random.fork_rng(devices=[]):  # transformers draws initial weights from the global generator
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)  # type: ignore[arg-type]
    tokenizer.save_pretrained(folder)


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level pieces of the texts, with the special tokens that all three models know."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
