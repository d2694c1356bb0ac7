"""What each reward source counts and where its scores go: the mixture of a run. Knows nothing of models or torch."""

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from spanwise.core import Config
from spanwise.rewards.foreign import SourceConfig
from spanwise.rewards.scorers import ScorerUse

Placement = Literal["end", "spread", "every"]
"""Where on the tokens of a segment its value goes.

`end`: all of it on the true last token, as in both papers. `spread`: over the tokens in proportion to how many
characters of the segment each wrote, so that a stretch of text earns the same however it was tokenised.
`every`: in equal shares on every token, so that each choice of the policy earns the same.
"""


Aggregate = Literal["sum", "mean", "fixed"]


class SourceWeight(Config):
    """How the scores of one source enter the reward: weight * gate * clip((score - center) / scale)."""

    weight: float = 1.0
    """Factor of the source's scores; 0 leaves the source in the report and out of the reward."""
    final_weight: float | None = None
    """Weight at the end of a linear schedule over schedule_steps; empty keeps the weight as it is."""
    schedule_steps: int = Field(default=0, ge=0)
    """Steps over which the weight moves to final_weight."""
    center: float = 0.0
    """Subtracted from each score: with the start policy's mean, one more average segment pays nothing."""
    scale: float = Field(default=1.0, gt=0)
    """Each centred score is divided by this, for example by the standard deviation of the start policy's scores."""
    clip: float | None = Field(default=None, gt=0)
    """Bound of the centred and scaled score in both directions; empty does not clip."""
    aggregate: Aggregate = "sum"
    """sum pays each segment in full, as the papers; mean divides by the number of segments, so length earns nothing;
    fixed divides by `length`, one number for all responses."""
    length: float | None = Field(default=None, gt=0)
    """With aggregate fixed: what sums are divided by, for example the segments of a mean response."""
    gate: str | None = None
    """Name of a source from -1 (wrong) to 1 (right): a score counts by the share to which the gate finds its text
    right. relevance gates factuality, whose model never saw labels of irrelevant text; null counts all in full."""
    missing: Literal["raise", "mask"] = "raise"
    """What an unscored segment means: stop the run, or leave its response out of the loss."""

    @model_validator(mode="after")
    def _whole_schedule(self) -> "SourceWeight":
        if (self.final_weight is None) != (self.schedule_steps == 0):
            raise ValueError("final_weight and schedule_steps go together; set both or neither")
        return self

    @model_validator(mode="after")
    def _length_of_fixed(self) -> "SourceWeight":
        if (self.aggregate == "fixed") != (self.length is not None):
            raise ValueError("aggregate fixed and length go together; set both or neither")
        return self

    def weight_at(self, step: int) -> float:
        """The weight at training step `step`, counted from 0."""
        if self.final_weight is None:
            return self.weight
        progress = min(1.0, step / self.schedule_steps)
        return self.weight + progress * (self.final_weight - self.weight)

    def divisor(self, segments: int) -> float:
        """What the sum over the scored segments of a response is divided by."""
        if self.aggregate == "mean":
            return float(max(1, segments))
        return self.length or 1.0

    def value_of(self, score: float) -> float:
        """The centred, scaled and clipped score, before its weight."""
        value = (score - self.center) / self.scale
        return value if self.clip is None else max(-self.clip, min(self.clip, value))


class MixtureConfig(Config):
    """Which sources make the reward, and how much each counts."""

    sources: dict[str, SourceWeight] = Field(min_length=1)
    """One entry per reward source, keyed by the name of the source."""


class RewardModelUse(Config):
    """A reward model whose heads become reward sources, each named as its head."""

    checkpoint: Path
    """Folder of the reward model: checkpoints/best of a `spanwise reward train` run."""
    heads: tuple[str, ...] = ()
    """Heads to use; none named = all heads of the checkpoint."""
    hard: bool = False
    """Score segments +1 or -1, as the paper does, instead of by probability."""
    batch_size: int = Field(default=32, ge=1)
    """Responses per forward pass of the reward model."""


class SourcesConfig(Config):
    """What judges answers."""

    reward_models: dict[str, RewardModelUse] = Field(default_factory=dict[str, RewardModelUse])
    """Reward models by a name of your choice."""
    scorers: dict[str, ScorerUse] = Field(default_factory=dict[str, ScorerUse])
    """Rewards made of scorers of whole texts, such as toxicity classifiers, by the name of the reward source."""
    sources: dict[str, SourceConfig] = Field(default_factory=dict[str, SourceConfig])
    """Rewards that others made, by the name of the reward source: models of other trainers, functions, endpoints,
    classes of one's own."""

    @model_validator(mode="after")
    def _rewarded(self) -> "SourcesConfig":
        if not (self.reward_models or self.scorers or self.sources):
            raise ValueError("reward_models, scorers and sources name no reward; give at least one")
        return self


class RewardsConfig(SourcesConfig):
    """What answers earn: the section of a config that an engine's plug-in reads as well, other keys left out."""

    mixture: MixtureConfig
    """How the scores of the sources make the reward."""
    placement: Placement = "end"
    """Where on a segment its reward goes: end (its last token, as in the papers), spread (over its tokens by
    characters) or every (over its tokens in equal shares)."""


class EngineRewardsConfig(RewardsConfig):
    """The rewards in the config of a run, whose other settings an engine has itself."""

    model_config = ConfigDict(extra="ignore")


class ScoreConfig(SourcesConfig):
    """`spanwise score`: rewards of any number of answers, in Parquet files."""

    responses: Path
    """JSONL file of answers, perhaps .gz: lines with prompt, response and perhaps id, passages and truncated."""
    output: Path
    """Folder for the Parquet files and their manifest; files that are there and still right are kept."""
    mixture: MixtureConfig | None = None
    """How the scores of the sources make one reward for each answer; null: their scores alone. What a source could not
    score leaves the answer without a reward and never stops the run, whatever `missing` says."""
    part_size: int = Field(default=10_000, ge=1)
    """Answers in each Parquet file: so many are lost at most where a process is killed."""
    device: str = "auto"
    """Where reward models and scorers run: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
