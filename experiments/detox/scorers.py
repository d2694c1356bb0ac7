"""Trains the two scorers of a detoxification study: one that pays the policy, and another kind that judges it.

The one that pays is a linear scorer of words, learned from two thirds of the comments; the judge is a fine-tuned
encoder, learned from the other third and saved as an ordinary text classifier of Hugging Face. Neither has seen the
trial file.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from sklearn.metrics import roc_auc_score
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    get_linear_schedule_with_warmup,
)

from experiments.detox.data import Labelled
from spanwise.core import Config, derive_seed, torch_generator
from spanwise.feedback import Unscored
from spanwise.rewards.scorers import Scorer

Encoder = tuple[PreTrainedModel, PreTrainedTokenizerBase]


class ClassifierConfig(Config):
    """How a pretrained encoder becomes a text classifier."""

    layers: int = Field(default=3, ge=1)
    """Layers of the encoder that are kept, from the bottom; words are told apart low down, and time goes with it."""
    epochs: int = Field(default=1, ge=1)
    """Passes over the texts."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Highest learning rate; the embeddings stay as they are."""
    batch_size: int = Field(default=32, ge=1)
    """Texts per step."""
    max_length: int = Field(default=96, ge=8)
    """Longer texts are not learned from."""
    seed: int = 0
    """Seed of the head's first weights and of the order."""

    RENAMED: ClassVar[Mapping[str, str]] = {"max_tokens": "max_length"}


def first_layers(encoder: PreTrainedModel, layers: int) -> PreTrainedModel:
    """A copy of a BERT-like encoder with its first layers alone, embeddings frozen."""
    body: Any = copy.deepcopy(encoder)
    body.encoder.layer = body.encoder.layer[:layers]
    body.config.num_hidden_layers = layers
    body.embeddings.requires_grad_(False)
    return body


def train_classifier(
    examples: Sequence[Labelled], encoder: Encoder, config: ClassifierConfig, *, say: Callable[[str], None]
) -> Encoder:
    """A sequence classifier with the labels clean and toxic, and its tokenizer."""
    body, tokenizer = encoder
    model = _with_head(first_layers(body, config.layers), config)
    rows = [
        (ids, example.toxic)
        for ids, example in zip(_ids(tokenizer, [e.text for e in examples]), examples, strict=True)
        if len(ids) <= config.max_length
    ]
    generator = torch_generator(config.seed, "detox/classifier")
    batches = [batch for _ in range(config.epochs) for batch in _batches(rows, config.batch_size, generator)]
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
    for step, batch in enumerate(batches):
        inputs: Any = tokenizer.pad({"input_ids": [ids for ids, _ in batch]}, return_tensors="pt")
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        loss = cross_entropy(logits, torch.tensor([int(toxic) for _, toxic in batch]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0:
            say(f"judge: step {step} of {len(batches)}, loss {float(loss.detach()):.3f}")
    return model.eval(), tokenizer


def scorer_quality(scorer: Scorer, examples: Sequence[Labelled]) -> dict[str, float]:
    """AUROC and accuracy at one half on texts that the scorer has not seen, and how many it could not score."""
    said = scorer.score([example.text for example in examples])
    known = [(v, e.toxic) for v, e in zip(said, examples, strict=True) if not isinstance(v, Unscored)]
    values, truth = [value for value, _ in known], [toxic for _, toxic in known]
    right = sum((value > 0.5) == toxic for value, toxic in known)
    return {
        "texts": len(examples),
        "unscored": len(examples) - len(known),
        "toxic_share": sum(truth) / len(known),
        "accuracy": right / len(known),
        "auroc": float(roc_auc_score(truth, values)),
    }


def _with_head(body: PreTrainedModel, config: ClassifierConfig) -> Any:
    """The body under a fresh classification head, which knows the two labels by name."""
    body.config.id2label = {0: "clean", 1: "toxic"}
    body.config.label2id = {"clean": 0, "toxic": 1}
    with torch.random.fork_rng():  # transformers draws first weights globally
        torch.manual_seed(derive_seed(config.seed, "detox/classifier head"))
        model: Any = AutoModelForSequenceClassification.from_config(body.config)
    missing = model.base_model.load_state_dict(body.state_dict(), strict=False).missing_keys
    assert all(name.startswith("pooler") for name in missing), missing
    model.base_model.embeddings.requires_grad_(False)
    return model.eval()  # no dropout: one pass over few texts needs none


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    encoding: Any = tokenizer(list(texts), verbose=False)
    return encoding["input_ids"]


def _batches(
    rows: Sequence[tuple[list[int], bool]], size: int, generator: torch.Generator
) -> list[list[tuple[list[int], bool]]]:
    """All rows once, rows of like length together, the batches by chance."""
    order: list[int] = torch.randperm(len(rows), generator=generator).tolist()
    ordered = sorted((rows[place] for place in order), key=lambda row: len(row[0]))
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
