"""What `spanwise evaluate` measures on which files. Knows nothing of how it is measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.evals.rivals import FreeRivalsConfig
from spanwise.models import AnswerConfig
from spanwise.rewards import AnySource, MixtureConfig


class EvaluateConfig(Config):
    """`spanwise evaluate`: how good answers are, and whether they are better than others."""

    prompts: Path
    """JSONL file of prompts, with references for ROUGE."""
    responses: Path | None = None
    """JSONL file of responses with the ids of their prompts, as `spanwise generate` writes it."""
    policy: str | None = None
    """Instead of responses: folder or Hub name of a policy that answers the prompts, greedily and as `answering`
    samples."""
    baseline: Path | None = None
    """A second file of responses to the same prompts to compare with."""
    reward_models: tuple[str, ...] = ()
    """Folders or Hub names of reward models that score the answers as well."""
    sources: dict[str, AnySource] = Field(default_factory=dict[str, AnySource])
    """Further reward sources by name, as `spanwise rl` takes them."""
    perplexity_model: str | None = None
    """Folder or Hub name of a language model, another than the one that answered, for the answers' perplexity."""
    bertscore_model: str | None = None
    """Folder or Hub name of an encoder for BERTScore against the prompts' references."""
    mixture: MixtureConfig | None = None
    """How much each head of the reward models counts where answers or demonstrations are chosen by reward, as in
    training; null weighs all alike."""
    answering: AnswerConfig = AnswerConfig(decoding="sample", samples_per_prompt=8)
    """How policies draw the answers that stand beside their greedy ones."""
    free_rivals: FreeRivalsConfig | None = None
    """What the policy before training with rewards gives for nothing; without it no answer is called better."""
    device: str = "auto"
    """Where policies answer: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    resamples: int = Field(default=2000, ge=100)
    """Draws of the bootstrap and of the permutation test."""
    confidence_level: float = Field(default=0.95, gt=0, lt=1)
    """How often the intervals hold the true value."""
    seed: int = 0
    """The seed of the bootstrap."""
    output: Path | None = None
    """Folder for results.json, which `spanwise report` reads, and for the answers of policies; null prints only."""

    RENAMED: ClassVar[Mapping[str, str]] = {"level": "confidence_level"}

    @model_validator(mode="after")
    def _consistent(self) -> "EvaluateConfig":
        if (self.responses is None) == (self.policy is None):
            raise ValueError("give either responses (a file) or policy (which answers the prompts)")
        if self.answering.decoding == "greedy":
            raise ValueError("answering.decoding: policies answer greedily in any case; set sample")
        rivals = self.free_rivals
        if rivals is not None and rivals.demonstrations is not None and not self.reward_models:
            raise ValueError("free_rivals.demonstrations are chosen by reward; name reward_models")
        if rivals is not None and self.reward_models and self.answering.samples_per_prompt % rivals.best_of:
            raise ValueError(
                f"answering.samples_per_prompt ({self.answering.samples_per_prompt}) is no multiple of "
                f"free_rivals.best_of ({rivals.best_of})"
            )
        if rivals is not None and rivals.policy == self.policy:
            raise ValueError("free_rivals.policy is the policy itself; name the one that its training began from")
        return self
