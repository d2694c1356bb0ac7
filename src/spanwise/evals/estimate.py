"""A number with its interval: what every table, sentence and plot of an evaluation is made of.

Knows nothing of how the interval was had; `stats.py` makes estimates, `results.py` stores them.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Over = Literal["prompts", "seeds", "seeds and prompts", ""]
"""What varies in an interval; empty when there is none."""


class Estimate(BaseModel):
    """A mean with its interval, and how many values stand behind both.

    `mean` is None when nothing could be scored; `low` and `high` are None together when no interval can be had
    (one prompt and one seed). A value that could not be scored is counted in `unscored` and is in no mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int = Field(default=0, ge=0)
    """Prompts that were scored."""
    unscored: int = Field(default=0, ge=0)
    """Values (prompts x seeds) that could not be scored."""
    seeds: int = Field(default=1, ge=1)
    """Training seeds behind the mean."""
    per_seed: tuple[float | None, ...] = ()
    """The mean of each seed, in the order of the experiment's seeds; empty when there is one seed or none is known."""
    over: Over = ""
    level: float = Field(default=0.95, gt=0, lt=1)
    """How often such intervals hold the true value."""

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both ends or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval [{self.low}, {self.high}] is reversed")
        return self

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval exists and lies wholly on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
