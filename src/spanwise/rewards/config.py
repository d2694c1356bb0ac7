"""What each reward source counts and where its scores go: the mixture of a run. Knows nothing of models or torch."""

from typing import Literal

from pydantic import Field, model_validator

from spanwise.core import Config

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
