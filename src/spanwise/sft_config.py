"""Settings of supervised fine-tuning and of `spanwise sft`. Knows nothing of models or torch."""

import math
from pathlib import Path
from typing import Literal

from pydantic import Field

from spanwise.config import Config


class SFTConfig(Config):
    """Everything that decides the numbers of a fine-tuning run, apart from the policy and the demonstrations."""

    seed: int = 0
    """The seed from which the order of the demonstrations follows."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the demonstrations."""
    batch_size: int = Field(default=16, ge=1)
    """Demonstrations per optimiser step."""
    micro_batch_tokens: int = Field(default=8192, ge=1)
    """Tokens per forward pass, padding included: sets memory and speed, never the result; one demonstration always
    fits."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Highest learning rate of AdamW."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    decay: Literal["constant", "linear"] = "linear"
    """What the learning rate does after the rise: stay, or fall linearly and reach 0 just after the last step."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient of a step is scaled down to this norm."""
    loss_on: Literal["completion", "all"] = "completion"
    """Which tokens are learnt: those of the completion, or those of the prompt as well (causal policies only)."""
    max_prompt_tokens: int = Field(default=1024, ge=1)
    """Longest prompt; a longer one is refused before the run starts."""
    max_response_tokens: int = Field(default=512, ge=1)
    """Longest completion with its end token; a longer one is refused before the run starts."""
    evaluations_per_epoch: int = Field(default=1, ge=1)
    """How often per epoch the held-out demonstrations are measured and the best checkpoint is renewed."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward passes; the weights and their updates stay float32."""

    def steps_per_epoch(self, demonstrations: int) -> int:
        """Optimiser steps in one pass."""
        return math.ceil(demonstrations / self.batch_size)

    def steps(self, demonstrations: int) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.steps_per_epoch(demonstrations)


class SFTRunConfig(SFTConfig):
    """`spanwise sft`: fine-tune a language model on demonstrations."""

    policy: str
    """Folder or Hub name of the language model to start from."""
    demonstrations: Path
    """JSONL file of records with prompt and completion to learn from."""
    heldout_demonstrations: Path
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
