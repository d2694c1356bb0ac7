"""`trade_off.json`: which arms of an experiment are settings of one dial, and which metrics they trade off.

It lies beside `results.json`, so that the page of a trade-off is a function of the folder alone. Holds no number that
was measured; `pareto.py` takes those from the results.
"""

from typing import ClassVar

from pydantic import Field, model_validator

from spanwise.core import DataError
from spanwise.evals.statistics import ExperimentResults, Part, Stored

TRADE_OFF_FILE = "trade_off.json"


class SettingGroup(Part):
    """Settings of one kind along a dial, such as the runs of a sweep or the answers of one conditioned policy."""

    title: str
    arms: tuple[str, ...] = Field(min_length=1)
    """Names of arms of the results, in the order of the dial."""
    positions: tuple[str, ...]
    """What the dial says at each arm, such as "1.5"."""
    note: str = ""
    """How these settings were made, in a sentence."""

    @model_validator(mode="after")
    def _one_position_each(self) -> "SettingGroup":
        if len(self.arms) != len(self.positions):
            raise ValueError(f"{self.title}: {len(self.arms)} arms and {len(self.positions)} positions; give as many")
        return self


class Measure(Part):
    """A metric of the covered volume, with the values between which it counts."""

    metric: str
    worst: float
    """A setting at this value or beyond covers nothing."""
    best: float
    """A setting at this value or beyond could do no better."""


class TradeOff(Stored):
    """How the arms of an experiment are compared as settings."""

    FILE: ClassVar[str] = TRADE_OFF_FILE

    dial: str
    """What the settings vary, such as "weight of relevance"."""
    groups: tuple[SettingGroup, ...] = Field(min_length=1)
    axes: tuple[tuple[str, str], ...]
    """Pairs of metrics, one plot each."""
    measures: tuple[Measure, ...] = ()
    """The metrics whose covered volume says how good a group is as a whole; none = not measured."""

    def check(self, results: ExperimentResults, place: str) -> None:
        """Raises DataError that names an arm or a metric which the results do not have."""
        arms = [arm for group in self.groups for arm in group.arms]
        metrics = [*(metric for pair in self.axes for metric in pair), *(measure.metric for measure in self.measures)]
        for kind, names, known in (("arm", arms, results.arms), ("metric", metrics, results.metrics)):
            for name in names:
                if name not in known:
                    raise DataError(f"{place}: the results have no {kind} {name!r}; they have {', '.join(known)}.")
