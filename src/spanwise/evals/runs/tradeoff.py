"""`trade_off.json`: which arms of an experiment are settings of one dial, and which metrics they trade off.

It lies beside `results.json`, so that the page of a trade-off is a function of the folder alone. Holds no number that
was measured; `pareto_summary.py` takes those from the results.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spanwise.core import DataError, read_json, write_json
from spanwise.evals.statistics import ExperimentResults

TRADE_OFF_FILE = "trade_off.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class SettingGroup(_Part):
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


class Measure(_Part):
    """A metric of the covered volume, with the values between which it counts."""

    metric: str
    worst: float
    """A setting at this value or beyond covers nothing."""
    best: float
    """A setting at this value or beyond could do no better."""


class TradeOff(_Part):
    """How the arms of an experiment are compared as settings."""

    dial: str
    """What the settings vary, such as "weight of relevance"."""
    groups: tuple[SettingGroup, ...] = Field(min_length=1)
    axes: tuple[tuple[str, str], ...]
    """Pairs of metrics, one plot each."""
    measures: tuple[Measure, ...] = ()
    """The metrics whose covered volume says how good a group is as a whole; none = not measured."""

    def save(self, folder: Path) -> None:
        """Writes `folder/trade_off.json` beside-then-rename."""
        write_json(folder / TRADE_OFF_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> "TradeOff":
        """Reads `folder/trade_off.json`; raises DataError where it is none."""
        path = folder / TRADE_OFF_FILE
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise DataError(f"{path}: {error.errors()[0]['msg']}; write it anew with this version.") from error

    def check(self, results: ExperimentResults, place: str) -> None:
        """Raises DataError that names an arm or a metric which the results do not have."""
        arms = [arm for group in self.groups for arm in group.arms]
        metrics = [*(metric for pair in self.axes for metric in pair), *(one.metric for one in self.measures)]
        for kind, names, known in (("arm", arms, results.arms), ("metric", metrics, results.metrics)):
            for name in names:
                if name not in known:
                    raise DataError(f"{place}: the results have no {kind} {name!r}; they have {', '.join(known)}.")
