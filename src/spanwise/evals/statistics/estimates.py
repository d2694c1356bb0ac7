"""A number with its interval, of which tables, sentences and plots are made, and how many prompts a difference takes.

Knows nothing of how an interval was had; `intervals.py` makes estimates, `results.py` stores them.
"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtr, ndtri

from spanwise.core import ConfigError

Over = Literal["prompts", "seeds", "seeds and prompts", ""]
"""What varies in an interval; empty when there is none."""
ALPHA = 0.05
POWER = 0.8


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


def prompts_needed(deviation: float, difference: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Prompts to see `difference` when single prompts vary with `deviation`, both in the same unit; 2 at the least."""
    if difference <= 0 or deviation < 0:
        raise ConfigError(f"A difference above 0 and a deviation of at least 0 are needed, not {difference:g}.")
    quantiles = float(ndtri(1 - alpha / 2) + ndtri(power))
    return max(2, math.ceil((quantiles * deviation / difference) ** 2))


def power_of(prompts: int, deviation: float, difference: float, *, alpha: float = ALPHA) -> float:
    """The chance that `prompts` show a true `difference`, in either direction."""
    if prompts < 1:
        raise ConfigError(f"Power needs at least one prompt, not {prompts}.")
    if deviation == 0:
        return 1.0 if difference else alpha
    shift, bound = abs(difference) * math.sqrt(prompts) / deviation, float(ndtri(1 - alpha / 2))
    return float(ndtr(shift - bound) + ndtr(-shift - bound))
