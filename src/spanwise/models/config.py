"""How a policy draws, in what precision it computes and how it answers a file of prompts. Knows nothing of torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.feedback import PromptConfig


class Sampling(Config):
    """How responses are drawn."""

    temperature: float = Field(default=1.0, gt=0)
    """Logits are divided by this before the softmax; below 1 sharpens, above 1 flattens."""
    top_k: int = Field(default=0, ge=0)
    """Only the k likeliest tokens can be drawn at each step; 0 means all."""
    max_new_tokens: int = Field(default=200, ge=1)
    """A response is cut off after this many tokens."""
    min_new_tokens: int = Field(default=0, ge=0)
    """What ends a response cannot be drawn before it has this many tokens."""

    @model_validator(mode="after")
    def _in_order(self) -> "Sampling":
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens ({self.min_new_tokens}) is above max_new_tokens ({self.max_new_tokens})")
        return self


PrecisionName = Literal["float32", "bfloat16", "auto"]


class AnswerConfig(Config):
    """How a policy answers."""

    seed: int = 0
    """The seed from which sampled answers follow."""
    prompt: PromptConfig = PromptConfig()
    """How the policy reads prompts, where its checkpoint does not say."""
    decoding: Literal["greedy", "sample"] = "greedy"
    """The likeliest token at every step, or tokens drawn as `sampling` says."""
    sampling: Sampling = Sampling()
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Only the fewest likeliest tokens that together have this probability can be drawn at each step; 1 means all. Not
    for training, which could not replay it."""
    samples_per_prompt: int = Field(default=1, ge=1)
    """Answers per prompt; more than one needs decoding=sample."""
    max_prompt_tokens: int = Field(default=1024, ge=1)
    """Longest prompt; a longer one is refused before the first answer."""
    batch_size: int = Field(default=32, ge=1)
    """Prompts answered at a time."""

    @model_validator(mode="after")
    def _consistent(self) -> "AnswerConfig":
        if self.samples_per_prompt > 1 and self.decoding == "greedy":
            raise ValueError("samples_per_prompt > 1 with decoding=greedy gives equal answers; set decoding=sample")
        if self.top_p < 1 and self.decoding == "greedy":
            raise ValueError("top_p is about drawn tokens; set decoding=sample")
        return self


class GenerateConfig(AnswerConfig):
    """`spanwise generate`: answer the prompts of a file."""

    policy: str
    """Folder or Hub name of the language model."""
    prompts: Path
    """JSONL file of prompts."""
    output: Path
    """JSONL file to write, one answer per line; it appears only when all answers are there, and never in the
    place of another file."""
    device: str = "auto"
    """Where to run: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    dtype: PrecisionName = "float32"
    """Precision of the weights and of the model's arithmetic; auto: bfloat16 where the processor is made for it."""
