"""Settings of `spanwise sweep`: which mixture weights to try on which run, with which seeds.

Knows how settings are named; what one setting trains is in `rl.py` and `sim_settings.py`.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from spanwise.core import Config, ConfigError
from spanwise.quickstart import SimStudyConfig

Say = Callable[[str], None]
"""Told what is going on, a line at a time."""
START = "start"
"""The arm, and the folder, of the policy that every run begins with."""
RESERVED = (START, "sft", "reward_models")
"""Folders of a sweep that are no setting."""


class SweepConfig(Config):
    """`spanwise sweep`: one run per setting of the mixture weights and seed, and the trade-off of the rewards."""

    run_dir: Path
    """Folder of the sweep: one folder per setting with one run per seed, results.json, trade_off.json, sweep.html."""
    base: Path | None = None
    """Config of `spanwise rl` whose weights are varied; its run_dir and seed are replaced."""
    overrides: tuple[str, ...] = ()
    """key=value settings that win over the file `base`."""
    sim: SimStudyConfig | None = None
    """Instead of base: the fine-grained arm of the simulated world, judged by its oracle; {} takes the defaults."""
    weights: dict[str, tuple[float, ...]] = Field(default_factory=dict[str, tuple[float, ...]])
    """Weights to try by source; several sources make a grid."""
    settings: dict[str, dict[str, float]] = Field(default_factory=dict[str, dict[str, float]])
    """Or settings by a name of your choice, each with its weights by source; what is not named keeps its weight."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Training seeds; intervals over seeds need several."""
    measured_policy: Literal["best", "last"] = "best"
    """Which policy of a run is measured: the best by the run's own held-out reward, or the last."""
    axes: tuple[tuple[str, str], ...] = ()
    """Pairs of metrics to draw; none = every pair of rewards (in the simulated world: of the oracle's metrics)."""
    example_prompts: int = Field(default=6, ge=0)
    """Held-out prompts whose answers the page shows at every setting."""

    RENAMED: ClassVar[Mapping[str, str]] = {"checkpoint": "measured_policy", "examples": "example_prompts"}

    @model_validator(mode="after")
    def _one_base(self) -> "SweepConfig":
        if (self.base is None) == (self.sim is None):
            raise ValueError("give either base (a config of `spanwise rl`) or sim")
        if bool(self.weights) == bool(self.settings):
            raise ValueError("give either weights (a grid) or settings (a list by name)")
        for name, values in self.weights.items():
            if not values or len(set(values)) < len(values):
                raise ValueError(f"weights.{name}: give at least one weight, each once")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: each once")
        for name in self.settings:
            if not re.fullmatch(r"[\w.=,+-]+", name) or name.startswith(".") or name in RESERVED:
                raise ValueError(f"settings: {name!r} must be a plain folder name, and none of {', '.join(RESERVED)}")
        return self

    def points(self) -> dict[str, dict[str, float]]:
        """The weights of every setting by its name, in the order of the dial."""
        if self.settings:
            return dict(self.settings)
        grid = itertools.product(*self.weights.values())
        rows = [dict(zip(self.weights, values, strict=True)) for values in grid]
        return {",".join(f"{name}={value:g}" for name, value in row.items()): row for row in rows}

    def positions(self) -> tuple[str, ...]:
        """What the dial says at each setting: the weight alone where one source is varied."""
        if len(self.weights) == 1:
            return tuple(f"{value:g}" for value in next(iter(self.weights.values())))
        return tuple(self.points())

    def dial(self) -> str:
        """What is varied, in words."""
        names = dict.fromkeys(name for row in self.points().values() for name in row)
        return f"weight{'s' if len(names) > 1 else ''} of {' and '.join(names)}"

    def folder(self, setting: str, seed: int) -> Path:
        """The run folder of one setting and seed."""
        return self.run_dir / setting / f"seed-{seed}"


def check_sources(points: dict[str, dict[str, float]], known: tuple[str, ...], place: str) -> None:
    """Raises ConfigError that names a source which the base does not have."""
    for setting, weights in points.items():
        for name in weights:
            if name not in known:
                raise ConfigError(f"{place}: setting {setting} weighs {name!r}; the base has {', '.join(known)}.")
