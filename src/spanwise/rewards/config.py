"""What each reward source counts and where its scores go: the mixture of a run. Knows nothing of models or torch."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from spanwise.core import KIND_TAG, Config
from spanwise.rewards.foreign import SourceConfig
from spanwise.rewards.scorers import ScorerUse
from spanwise.rewards.signals import (
    AttributionConfig,
    CitationConfig,
    EntailmentConfig,
    JsonConfig,
    LengthConfig,
    LogRatioConfig,
    PatternConfig,
)

Placement = Literal["end", "spread", "every"]
"""Where on the tokens of a segment its value goes.

`end`: all of it on the true last token, as in both papers. `spread`: over the tokens in proportion to how many
characters of the segment each wrote, so that a stretch of text earns the same however it was tokenised.
`every`: in equal shares on every token, so that each choice of the policy earns the same.
"""


Aggregate = Literal["sum", "mean", "fixed"]


class SourceWeight(Config):
    """How the scores of one source enter the reward: weight * gate * clip((score - center) / scale).

    With slopes, center and scale are lines in the logarithm of the place in the answer.
    """

    weight: float = 1.0
    """Factor of the source's scores; 0 leaves the source in the report and out of the reward."""
    final_weight: float | None = None
    """Weight at the end of a linear schedule over schedule_steps; empty keeps the weight as it is."""
    schedule_steps: int = Field(default=0, ge=0)
    """Steps over which the weight moves to final_weight."""
    center: float = 0.0
    """Subtracted from each score: with the start policy's mean, one more average segment pays nothing."""
    center_slope: float = 0.0
    """Of segment k of S, center + center_slope * ln(k / S) is subtracted: what the start policy's scores do along an
    answer (`spanwise.rewards.fit_slopes`)."""
    scale: float = Field(default=1.0, gt=0)
    """Each centred score is divided by this, for example by the standard deviation of the start policy's scores."""
    scale_slope: float = 0.0
    """Of segment k of S, the divisor is scale + scale_slope * ln(k / S); above 0 it shrinks towards the beginning."""
    max_segments: int | None = Field(default=None, ge=1)
    """Most segments of a response; one with more is not scored. Needed with scale_slope above 0, for which the divisor
    must stay above 0 at the first of so many."""
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
    def _scale_stays_positive(self) -> "SourceWeight":
        if self.scale_slope <= 0:
            return self
        if self.max_segments is None:
            raise ValueError("scale_slope above 0 needs max_segments: at the beginning of long answers the scale is 0")
        smallest = self.scale_at(1 / self.max_segments)
        if smallest <= 0:
            raise ValueError(
                f"the scale at the first of max_segments={self.max_segments} segments is {smallest:.5f}, which would "
                "turn signs around; lower max_segments or scale_slope"
            )
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

    def scale_at(self, place: float) -> float:
        """What the centred score of a segment is divided by; `place` is k / S, above 0 and at most 1."""
        return self.scale + self.scale_slope * math.log(place)

    def value_of(self, score: float, place: float = 1.0) -> float:
        """The centred, scaled and clipped score of the segment at `place`, before its weight."""
        center = self.center + self.center_slope * math.log(place)
        value = (score - center) / self.scale_at(place)
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


_SIGNALS = ("pattern", "json", "length", "citation", "log-ratio", "entailment", "attribution")
_FOREIGN = ("reward", "steps", "labels", "function", "http", "class", "critic")


def _kind_of(source: Any) -> str | None:
    kind = cast("dict[str, Any]", source).get("kind") if isinstance(source, dict) else getattr(source, "kind", None)
    return f"{KIND_TAG}{kind}" if kind in _SIGNALS else f"{KIND_TAG}foreign" if kind in _FOREIGN else None


AnySource = Annotated[
    Annotated[SourceConfig, Tag("kind=foreign")]
    | Annotated[PatternConfig, Tag("kind=pattern")]
    | Annotated[JsonConfig, Tag("kind=json")]
    | Annotated[LengthConfig, Tag("kind=length")]
    | Annotated[CitationConfig, Tag("kind=citation")]
    | Annotated[LogRatioConfig, Tag("kind=log-ratio")]
    | Annotated[EntailmentConfig, Tag("kind=entailment")]
    | Annotated[AttributionConfig, Tag("kind=attribution")],
    Discriminator(
        _kind_of,
        custom_error_type="kind",
        custom_error_message=f"kind must be one of {', '.join((*_FOREIGN, *_SIGNALS))}",
    ),
]
"""What an entry under `sources` may be; its `kind` says which."""


class SourcesConfig(Config):
    """What judges answers."""

    reward_models: dict[str, RewardModelUse] = Field(default_factory=dict[str, RewardModelUse])
    """Reward models by a name of your choice."""
    scorers: dict[str, ScorerUse] = Field(default_factory=dict[str, ScorerUse])
    """Rewards made of scorers of whole texts, such as toxicity classifiers, by the name of the reward source."""
    sources: dict[str, AnySource] = Field(default_factory=dict[str, AnySource])
    """Rewards by the name of the reward source: models of other trainers, functions, endpoints, classes of one's own,
    rules, log-ratios of policies, entailment, shares of another score."""

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


class WeightsConfig(SourcesConfig):
    """`spanwise reward weights`: how much each source should count, by what people preferred."""

    data: tuple[Path, ...] = Field(min_length=1)
    """Feedback files with preferences, best of answers like those that will be rewarded."""
    mixture: MixtureConfig
    """The sources with all their settings; their weights are what is learnt."""
    resamples: int = Field(default=500, ge=100)
    """Draws of the bootstrap over questions, which gives the intervals."""
    seed: int = 0
    """The seed of the bootstrap."""
    device: str = "auto"
    """Where reward models and scorers run: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""


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
