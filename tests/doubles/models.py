"""Small stand-ins for real models: three architectures of a few thousand weights with tokenizers built in memory.

Tests reach them through the fixtures of `conftest.py` or by `from doubles import ...`. Every call returns fresh
weights, the same for the same seed, so that a test may train what it gets.
"""

import functools

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

Pair = tuple[PreTrainedModel, PreTrainedTokenizerBase]

CORPUS = (
    "question: where was Ada Veld born? context: wikipage: Ada Veld text: Ada Veld was born in Oslo. answer:",
    "Ada Veld was born in Oslo in 1912, and she worked as a mason. It is not said when she died.",
    "question: who founded the Harbour Society? answer: The society was founded by Ines Korr, a painter, in 1890.",
    "Unlike the others, which were built in stone, the mill of Brack was made of wood; it burned down twice.",
)
"""What the small tokenizers were trained on."""


def tiny_llama(seed: int = 0, *, tied: bool = False) -> Pair:
    """A Llama of two layers with a byte-level BPE tokenizer (words start with their space; BOS, EOS and PAD)."""
    tokenizer = _byte_level_tokenizer(with_pad=True)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _seeded(LlamaForCausalLM, config, seed), tokenizer


def tiny_gpt2(seed: int = 0) -> Pair:
    """A GPT-2 of two layers: absolute positions, tied embeddings, no pad token, dropout in its config."""
    tokenizer = _byte_level_tokenizer(with_pad=False)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=256,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _seeded(GPT2LMHeadModel, config, seed), tokenizer


def tiny_t5(seed: int = 0, *, tied: bool = True) -> Pair:
    """A T5 of two layers with a sentencepiece-style unigram tokenizer and dropout in its config."""
    tokenizer = _unigram_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=tied,
        scale_decoder_outputs=tied,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _seeded(T5ForConditionalGeneration, config, seed), tokenizer


def _seeded(kind: type[PreTrainedModel], config: object, seed: int) -> PreTrainedModel:
    # transformers draws initial weights from the global generator; the fork keeps that to this block.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config).eval()


@functools.cache
def _byte_level_tokenizer(*, with_pad: bool) -> PreTrainedTokenizerBase:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>"] if with_pad else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS, trainer)
    if not with_pad:
        return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=special[0], eos_token=special[0])
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


@functools.cache
def _unigram_tokenizer() -> PreTrainedTokenizerBase:
    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=160, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator(CORPUS, trainer)
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
