"""Settings of the optimiser, of the loop over epochs, of supervised fine-tuning and of preference tuning.

Knows nothing of models or torch.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from spanwise.core import Config
from spanwise.feedback import PromptConfig
from spanwise.models import PrecisionName
from spanwise.text import GapAnchor


class OptimizerConfig(Config):
    """AdamW with a learning rate that rises linearly and then stays or falls linearly to 0."""

    learning_rate: float = Field(default=1e-5, gt=0)
    """Highest learning rate."""
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps that train this model over which the learning rate rises from 0."""
    decay: Literal["constant", "linear"] = "linear"
    """What the learning rate does after the rise: stay, or fall linearly and reach 0 just after the last step."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient of a step is scaled down to this norm."""

    RENAMED: ClassVar[Mapping[str, str]] = {"warmup": "warmup_ratio"}


class LoopConfig(OptimizerConfig):
    """Epochs over batches, one optimiser step a batch, and measurements on held-out data in between."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the training data."""
    batch_size: int = Field(default=16, ge=1)
    """Items per optimiser step."""
    evaluations_per_epoch: int = Field(default=1, ge=1)
    """How often per epoch the held-out data is measured and the best checkpoint is renewed."""

    def steps_per_epoch(self, items: int) -> int:
        """Optimiser steps in one pass."""
        return math.ceil(items / self.batch_size)

    def steps(self, items: int) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch(items)


class SFTConfig(LoopConfig):
    """Everything that decides the numbers of a fine-tuning run, apart from the policy and the demonstrations."""

    seed: int = 0
    """The seed from which the order of the demonstrations follows."""
    prompt: PromptConfig = PromptConfig()
    """How the policy reads prompts; kept in the checkpoint."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the demonstrations."""
    batch_size: int = Field(default=16, ge=1)
    """Demonstrations per optimiser step."""
    micro_batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass, padding included: sets memory and speed, never the result; one demonstration always
    fits."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Highest learning rate of AdamW."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    loss_on: Literal["completion", "all"] = "completion"
    """Which tokens are learnt: those of the completion, or those of the prompt as well (causal policies only)."""
    max_prompt_tokens: int = Field(default=1024, ge=1)
    """Longest prompt; a longer one is refused before the run starts."""
    max_response_tokens: int = Field(default=512, ge=1)
    """Longest completion with its end token; a longer one is refused before the run starts."""
    dtype: PrecisionName = "float32"
    """Arithmetic of the forward and backward passes; the weights and their updates stay float32. auto: bfloat16 where
    the processor is made for it."""

    RENAMED: ClassVar[Mapping[str, str]] = {"precision": "dtype"}


class SFTRunConfig(SFTConfig):
    """`spanwise sft`: fine-tune a language model on demonstrations."""

    policy: str
    """Folder or Hub name of the language model to start from."""
    demonstrations: Path
    """JSONL file of records with prompt and completion to learn from."""
    heldout: Path
    """JSONL file of records with prompt and completion; they choose the best checkpoint."""
    run_dir: Path
    """Folder for config, metrics and checkpoints; it must not hold a run already."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    select_by: Literal["loss", "rouge"] = "loss"
    """What makes a checkpoint the best: the lowest held-out loss, or the highest ROUGE-Lsum of greedy answers against
    the held-out completions."""
    rouge_prompts: int = Field(default=200, ge=1)
    """Held-out prompts answered for ROUGE, the first of the file."""

    RENAMED: ClassVar[Mapping[str, str]] = {"heldout_demonstrations": "heldout"}


class DPOLossConfig(Config):
    """The loss of an edit pair: preference, what keeps the edit likely, and which tokens count how much."""

    preference: NonNegativeFloat = 1.0
    """Weight of the DPO loss; 0 leaves likelihood alone: fine-tuning on edits, weighted by token."""
    beta: PositiveFloat = 0.1
    """Factor of the difference between the log-ratios of edit and original: the higher, the nearer to the start."""
    penalty: NonNegativeFloat = 5.0
    """What a fall of the edit's own log-probability below its start costs within the sigmoid (DPOP's lambda). Plain
    DPO, 0, lowers the likelihood of edits that differ little from their originals."""
    likelihood: NonNegativeFloat = 0.0
    """Weight of the negative log-likelihood of the edit, the mean over its tokens by their weights (RPO's alpha)."""
    changed_weight: PositiveFloat = 1.0
    """Weight of the log-probability of a token that the edit changed, on either side."""
    unchanged_weight: NonNegativeFloat = 1.0
    """Weight of the log-probability of a token that stays; 0 = only changed tokens teach."""
    unlikelihood: NonNegativeFloat = 0.0
    """Weight of the log-probability of the original's changed tokens, which is pushed down (FIGA's beta); it goes with
    likelihood and is divided by the same number of tokens."""
    confident: float = Field(default=0.0, ge=0, lt=1)
    """With unlikelihood: only tokens that the policy gives at least this probability are pushed down (FIGA: 0.55)."""
    per_token: bool = False
    """Divide the log-ratio of a side by the sum of its weights (dense DPO); beta must be larger then."""

    @model_validator(mode="after")
    def _learns(self) -> "DPOLossConfig":
        if self.unlikelihood and not self.likelihood:
            raise ValueError("unlikelihood alone only pushes down; set likelihood as well")
        if not self.preference and not self.likelihood:
            raise ValueError("preference and likelihood are both 0; give one of them a weight")
        return self


class DPOConfig(LoopConfig):
    """Everything that decides the numbers of a run, apart from the policy and the pairs."""

    seed: int = 0
    """The seed from which the order of the pairs follows."""
    prompt: PromptConfig = PromptConfig()
    """How the policy reads prompts; kept in the checkpoint."""
    loss: DPOLossConfig = DPOLossConfig()
    """What a pair teaches."""
    merge_gap: int = Field(default=2, ge=0)
    """Up to so many equal tokens between two changes count as changed with them."""
    gap_anchor: GapAnchor = "end"
    """Which insertions blame a token of the original: end = those before its end, whose end-of-sequence token came too
    early; all = each blames the token in its place; none."""
    micro_batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass, padding included: sets memory and speed, never the result; one pair always fits."""
    learning_rate: float = Field(default=5e-6, gt=0)
    """Highest learning rate of AdamW."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    max_prompt_tokens: int = Field(default=1024, ge=1)
    """Longest prompt; pairs with a longer one are left out and counted."""
    max_response_tokens: int = Field(default=512, ge=1)
    """Longest original or edit with its end token; pairs with a longer one are left out and counted."""


class RankingConfig(LoopConfig):
    """Training on ranked answers (RRHF)."""

    seed: int = 0
    """The seed from which the order of the prompts follows."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts per optimiser step; all their answers come along."""
    micro_batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass: sets memory and speed, never the result; the answers to one prompt always fit."""
    learning_rate: float = Field(default=2e-5, gt=0)
    """Highest learning rate of AdamW."""
    likelihood: NonNegativeFloat = 1.0
    """Weight of learning the best answer by heart."""


class DPORunConfig(DPOConfig):
    """`spanwise dpo`: train a language model on edit pairs, without rewards."""

    policy: str
    """Folder or Hub name of the language model to start from, also the reference that log-ratios are taken against."""
    pairs: Path
    """JSONL file of edit pairs to learn from."""
    heldout: Path
    """JSONL file of edit pairs; the lowest loss on them chooses the best checkpoint."""
    run_dir: Path
    """Folder for config, metrics and checkpoints; it must not hold a run already."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""

    RENAMED: ClassVar[Mapping[str, str]] = {"heldout_pairs": "heldout"}
