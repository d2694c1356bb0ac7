"""Small language models of comments, trained from nothing: the policy to be detoxified, and a larger one beside it.

Both are ordinary Hugging Face checkpoints and share one tokenizer, a byte-level BPE of the comments, so that their
perplexities are about the same tokens. They are trained once and kept. Knows nothing of marks, scorers or rewards.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from spanwise.core import Config, derive_seed, torch_generator
from spanwise.models import Policy, pad

WINDOW = 256
_SPECIAL = ("<pad>", "<s>", "</s>")  # their ids are 0, 1 and 2


class CommentModelConfig(Config):
    """Shape and training of a language model of comments."""

    hidden: int = Field(default=128, ge=32, multiple_of=32)
    """Width, in heads of 32."""
    layers: int = Field(default=4, ge=1)
    """Transformer blocks."""
    epochs: int = Field(default=6, ge=1)
    """Passes over the comments."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest learning rate of AdamW; it rises over 50 steps and falls along a cosine."""
    batch_tokens: int = Field(default=3000, ge=1)
    """Tokens per step, padding included."""
    max_length: int = Field(default=96, ge=2, le=WINDOW)
    """Comments are cut off here: prompt and continuation are no longer."""
    seed: int = 0
    """Seed of first weights and order."""

    RENAMED: ClassVar[Mapping[str, str]] = {"max_tokens": "max_length"}


def train_tokenizer(texts: Sequence[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """A byte-level BPE that writes begin-of-text before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, show_progress=False
        ),
    )
    pad_token, bos, eos = _SPECIAL
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad_token, bos_token=bos, eos_token=eos,
        clean_up_tokenization_spaces=False, model_max_length=WINDOW,
    )  # fmt: skip


def train_comment_model(
    texts: Sequence[str],
    heldout: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    config: CommentModelConfig,
    *,
    say: Callable[[str], None],
) -> LlamaForCausalLM:
    """A Llama that has read `texts`; tells the loss on `heldout` after every pass."""
    with torch.random.fork_rng():  # transformers draws first weights globally
        torch.manual_seed(derive_seed(config.seed, "detox/model"))
        model = LlamaForCausalLM(_shape(tokenizer, config))
    rows, judged = _rows(texts, tokenizer, config), _rows(heldout, tokenizer, config)
    generator = torch_generator(config.seed, "detox/order")
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    epochs = [list(_batches(rows, config.batch_tokens, generator)) for _ in range(config.epochs)]
    steps = sum(map(len, epochs))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    for epoch, batches in enumerate(epochs):
        model.train()
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = _loss(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        say(f"pass {epoch + 1} of {config.epochs}: {_heldout_loss(model.eval(), judged):.3f} nats per held-out token")
    return model.eval()


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, path: Path) -> None:
    """Writes a checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        Policy(model, tokenizer).save(Path(beside) / "model")
        (Path(beside) / "model").rename(path)


def _shape(tokenizer: PreTrainedTokenizerFast, config: CommentModelConfig) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden,
        intermediate_size=3 * config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.hidden // 32,
        num_key_value_heads=config.hidden // 32,
        max_position_embeddings=WINDOW,
        initializer_range=config.hidden**-0.5,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def _rows(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, config: CommentModelConfig) -> list[list[int]]:
    """Ids of each text between begin and end, cut off at the limit; a text that is cut off has no end."""
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids
    return [[1, *ids, 2][: config.max_length] for ids in encoded]


def _batches(rows: Sequence[list[int]], tokens: int, generator: torch.Generator) -> Iterator[list[list[int]]]:
    """All rows once, rows of like length together, the batches by chance."""
    order: list[int] = torch.randperm(len(rows), generator=generator).tolist()
    ordered = sorted((rows[place] for place in order), key=len)
    batches: list[list[list[int]]] = [[]]
    for row in ordered:
        if batches[-1] and (len(batches[-1]) + 1) * len(row) > tokens:
            batches.append([])
        batches[-1].append(row)
    for place in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[place]


def _loss(model: torch.nn.Module, rows: Sequence[list[int]]) -> Float[Tensor, ""]:
    """Mean nats per token."""
    ids, mask = pad(rows, value=0, side="right")
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    wanted = ids[:, 1:].masked_fill(~mask[:, 1:], -100)
    return cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), ignore_index=-100)


@torch.no_grad()
def _heldout_loss(model: torch.nn.Module, rows: Sequence[list[int]]) -> float:
    total, count = 0.0, 0
    for start in range(0, len(rows), 32):
        group = rows[start : start + 32]
        tokens = sum(len(row) - 1 for row in group)
        total += float(_loss(model, group)) * tokens
        count += tokens
    return total / count


def _rate(step: int, steps: int, warm_up: int = 50) -> float:
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
