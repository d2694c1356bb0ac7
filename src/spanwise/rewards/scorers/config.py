"""Which scorer is used and what reward is made of it: the settings that `spanwise rl` reads, and what they name."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.feedback import Density
from spanwise.rewards.scorers.http import PerspectiveConfig, PerspectiveScorer
from spanwise.rewards.scorers.scorer import Scorer


class ScorerConfig(Config):
    """A scorer of whole texts."""

    kind: Literal["ngrams", "classifier", "perspective"]
    """ngrams: a linear scorer of words; classifier: a text classifier of Hugging Face; perspective: a service that
    speaks the protocol of the Perspective API."""
    model: str = ""
    """Folder of the scorer; for classifier also a Hub name."""
    label: str = ""
    """Label of a classifier whose probability counts; empty takes the only one, or the second of two."""
    pinned: str = ""
    """Version that the scorer must have, as its first run logs it; empty takes any."""
    batch_size: int = Field(default=32, ge=1)
    """Texts per forward pass of a classifier."""
    perspective: PerspectiveConfig = PerspectiveConfig()
    """The service, where there is one."""

    RENAMED: ClassVar[Mapping[str, str]] = {"path": "model"}

    @model_validator(mode="after")
    def _has_a_place(self) -> "ScorerConfig":
        if (self.kind == "perspective") == bool(self.model):
            raise ValueError("model names the folder of a local scorer; perspective has none, but a url")
        return self


class ScorerUse(Config):
    """A reward made of a scorer; the policy continues its prompts, and both are judged as one text."""

    reward: Literal["holistic", "change", "marked-words"] = "change"
    """holistic: 1 - P of the whole text, once; change: by how much P falls with each part; marked-words: minus the
    probability that a reader would mark each word, by a model of tokens instead of a scorer of texts."""
    scorer: ScorerConfig | None = None
    """The scorer, for holistic and change."""
    density: Density = "sentence"
    """For change: the parts. token takes words."""
    checkpoint: Path | None = None
    """For marked-words: a reward model trained with kind: token on marked spans."""
    category: str = "toxicity"
    """What is scored, as reports call it."""

    @model_validator(mode="after")
    def _has_what_its_reward_needs(self) -> "ScorerUse":
        of_tokens = self.reward == "marked-words"
        if (self.checkpoint is None) == of_tokens or (self.scorer is None) != of_tokens:
            raise ValueError("reward=marked-words takes a checkpoint and no scorer, the others a scorer alone")
        if self.reward == "change" and self.density == "sequence":
            raise ValueError("the change of a score needs parts; set density to sentence, sub-sentence or token")
        return self


def load_scorer(config: ScorerConfig, *, device: str = "auto") -> Scorer:
    """The scorer; raises CheckpointError or ConfigError where there is none, or not the pinned one."""
    if config.kind == "perspective":
        return PerspectiveScorer(config.perspective)
    if config.kind == "ngrams":
        from spanwise.rewards.scorers.ngrams import NgramScorer  # noqa: PLC0415 - scikit-learn

        return NgramScorer.load(Path(config.model), pinned=config.pinned)
    from spanwise.rewards.scorers.classifier import load_classifier  # noqa: PLC0415 - torch

    return load_classifier(
        config.model, label=config.label, device=device, batch_size=config.batch_size, pinned=config.pinned
    )
