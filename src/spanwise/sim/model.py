"""The small Llama of the simulated world: its tokenizer, its shape, and the checkpoints in the package.

Ordinary transformers checkpoints: the recipes of `recipes/sim_base/` made them and can make them again; nothing
here trains.
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

WINDOW = 384
_SPECIAL = ("<pad>", "<s>", "</s>")  # their ids are 0, 1 and 2


def base_checkpoint() -> Path:
    """The folder of the packaged base checkpoint; a local path for `from_pretrained`."""
    return Path(str(files("spanwise.sim") / "base"))


def policy_checkpoint() -> Path:
    """The folder of the packaged SFT policy: the base, fine-tuned on demonstrations of the writer with habits.

    All arms of all seeds start from it, as the runs of Wu et al. (2023) start from one SFT policy.
    `recipes/sim_base/fine_tune.py` made it.
    """
    return Path(str(files("spanwise.sim") / "policy"))


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE over the world's text: any string can be encoded; words and digits are one token each."""
    tokenizer = Tokenizer(models.BPE())
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pad, bos, eos = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False,
        model_max_length=WINDOW,
    )  # fmt: skip


def base_config(tokenizer: PreTrainedTokenizerFast, *, hidden: int, layers: int, heads: int) -> LlamaConfig:
    """The shape of the base model; heads have 32 dimensions each, whatever its width.

    Weights start at 1/sqrt(hidden), much wider than the usual 0.02: with so few dimensions, 0.02 leaves attention
    so flat that copying is learnt many times more slowly.
    """
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=32,
        max_position_embeddings=WINDOW,
        initializer_range=hidden**-0.5,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
