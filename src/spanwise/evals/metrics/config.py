"""What `spanwise evaluate` measures on which files. Knows nothing of how it is measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from spanwise.core import Config


class EvaluateConfig(Config):
    """`spanwise evaluate`: how good answers are, and whether they are better than others."""

    prompts: Path
    """JSONL file of prompts, with references for ROUGE."""
    responses: Path
    """JSONL file of responses with the ids of their prompts, as `spanwise generate` writes it."""
    baseline: Path | None = None
    """A second file of responses to the same prompts to compare with."""
    reward_models: tuple[str, ...] = ()
    """Folders or Hub names of reward models that score the answers as well."""
    perplexity_model: str | None = None
    """Folder or Hub name of a language model, another than the one that answered, for the answers' perplexity."""
    bertscore_model: str | None = None
    """Folder or Hub name of an encoder for BERTScore against the prompts' references."""
    resamples: int = Field(default=2000, ge=100)
    """Draws of the bootstrap and of the permutation test."""
    confidence_level: float = Field(default=0.95, gt=0, lt=1)
    """How often the intervals hold the true value."""
    seed: int = 0
    """The seed of the bootstrap."""
    output: Path | None = None
    """Folder for results.json, which `spanwise report` reads; null prints only."""

    RENAMED: ClassVar[Mapping[str, str]] = {"level": "confidence_level"}
