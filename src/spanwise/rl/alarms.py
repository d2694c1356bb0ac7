"""Alarms: what the logged figures of a run say when it goes wrong in one of four ways.

- length drift: responses have become much longer or shorter than at the start;
- repetition: much of the responses repeats what they said before;
- truncation: nearly all responses run into the length limit, so that what they would have ended as is not scored;
- reward hacking: one source pays more and more while the others, together, pay less.

A pure function of the metrics so far, so that a run that was resumed raises the same alarms. An alarm stops nothing.
It compares the mean of the last `window` training steps with that of the first `window`; truncation needs no start.
"""

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from spanwise.core import Config, read_lines

LENGTH_DRIFT, REPETITION, REWARD_HACKING = "alarm/length_drift", "alarm/repetition", "alarm/reward_hacking"
TRUNCATION = "alarm/truncation"
_NO_SOURCES = ("reward/total", "reward/dropped", "reward/after_kl")
_DUST = 1e-6  # movements below this are rounding


class AlarmConfig(Config):
    """When a run's log raises an alarm; what each looks at is in docs/guides/overoptimisation.md."""

    window: int = Field(default=4, ge=2)
    """Training steps whose mean stands for the start and for now; there is no alarm before twice as many steps."""
    length_change: float | None = Field(default=1.5, gt=1)
    """Alarm when responses are this many times longer than at the start, or shorter; null = never."""
    repetition: float | None = Field(default=0.3, gt=0, lt=1)
    """Alarm when this share of the word 4-grams of a response stood in it before, on average; null = never."""
    truncated: float | None = Field(default=0.9, gt=0, le=1)
    """Alarm when this share of the last responses ran into the length limit; null = never. It may ring from step
    `window` on."""
    hacking_noise: float | None = Field(default=4.0, gt=0)
    """Alarm when a source's share rises, and the sum of the others falls, by this many times their noise; null =
    never."""
    hacking_trade: float = Field(default=0.5, gt=0)
    """How much the others must lose for each unit that the source gains."""


class Alarms:
    """Watches one run: give it every training step's metrics in order."""

    def __init__(self, config: AlarmConfig) -> None:
        self.config = config
        self._history: list[Mapping[str, float | None]] = []
        self._raised: set[str] = set()

    def recall(self, folder: Path) -> None:
        """Takes the steps that `metrics.jsonl` of a resumed run holds, as if they had been watched."""
        self._history.clear()
        self._raised.clear()
        path = folder / "metrics.jsonl"
        for _, line in read_lines(path) if path.exists() else ():
            self.watch(json.loads(line))

    def watch(self, metrics: Mapping[str, float | None]) -> tuple[dict[str, float], list[str]]:
        """Figures for the log (1 while an alarm holds, else 0), and a sentence for each alarm that begins."""
        if "response/length" in metrics:  # an evaluation before the first step is no training step
            self._history.append(metrics)
        raised = raised_alarms(self._history, self.config)
        fresh = [sentence for key, sentence in raised.items() if key not in self._raised]
        self._raised = set(raised)
        kinds = {key.partition(":")[0] for key in raised}
        return {kind: float(kind in kinds) for kind in (LENGTH_DRIFT, REPETITION, TRUNCATION, REWARD_HACKING)}, fresh


def raised_alarms(history: Sequence[Mapping[str, float | None]], config: AlarmConfig) -> dict[str, str]:
    """The alarms that hold after these training steps, by kind (and source), each with its sentence."""
    if not history:
        return {}
    return {
        **_length(history, config),
        **_repetition(history, config),
        **_truncation(history, config),
        **_hacking(history, config),
    }


def _length(history: Sequence[Mapping[str, float | None]], config: AlarmConfig) -> dict[str, str]:
    ends = _ends(_series(history, "response/length"), config.window)
    if config.length_change is None or ends is None or min(ends) <= 0:
        return {}
    start, now = ends
    if max(now / start, start / now) < config.length_change:
        return {}
    return {LENGTH_DRIFT: f"alarm, length drift: responses have {now:.0f} tokens on average, {start:.0f} at the start"}


def _repetition(history: Sequence[Mapping[str, float | None]], config: AlarmConfig) -> dict[str, str]:
    ends = _ends(_series(history, "response/repetition"), config.window)
    if config.repetition is None or ends is None or ends[1] < config.repetition:
        return {}
    return {REPETITION: f"alarm, repetition: {ends[1]:.0%} of a response is said twice, {ends[0]:.0%} at the start"}


def _truncation(history: Sequence[Mapping[str, float | None]], config: AlarmConfig) -> dict[str, str]:
    known = [value for value in _series(history, "response/truncated") if value is not None]
    if config.truncated is None or len(known) < config.window:
        return {}
    share = statistics.fmean(known[-config.window :])
    if share < config.truncated:
        return {}
    return {TRUNCATION: f"alarm, truncation: {share:.0%} of the responses run into sampling.max_new_tokens; raise it"}


def _hacking(history: Sequence[Mapping[str, float | None]], config: AlarmConfig) -> dict[str, str]:
    sources = [key for key in history[-1] if key.startswith("reward/") and key not in _NO_SOURCES]
    if config.hacking_noise is None or len(sources) < 2:
        return {}
    series = {key: _series(history, key) for key in sources}
    raised: dict[str, str] = {}
    for key, values in series.items():
        rest = [_sum([other[step] for name, other in series.items() if name != key]) for step in range(len(values))]
        gain, loss = _movement(values, config), _movement([None if x is None else -x for x in rest], config)
        if gain and loss and loss >= config.hacking_trade * gain:
            name = key.removeprefix("reward/")
            raised[f"{REWARD_HACKING}:{name}"] = (
                f"alarm, reward hacking: {name} pays {gain:.3g} more than at the start, "
                f"all other rewards {loss:.3g} less"
            )
    return raised


def _movement(series: Sequence[float | None], config: AlarmConfig) -> float:
    """How far the series rose from its start, or 0 where that is within its noise.

    The noise of one step is taken from the steps' differences (median absolute deviation), which a trend does not
    widen; a difference of two means over `window` steps has that noise times sqrt(2 / window).
    """
    ends = _ends(series, config.window)
    known = [value for value in series if value is not None]
    if ends is None or config.hacking_noise is None:
        return 0.0
    steps = [after - before for before, after in itertools.pairwise(known)]
    middle = statistics.median(steps)
    deviation = 1.4826 * statistics.median(abs(step - middle) for step in steps) / math.sqrt(2)
    rise = ends[1] - ends[0]
    return rise if rise > max(_DUST, config.hacking_noise * deviation * math.sqrt(2 / config.window)) else 0.0


def _ends(series: Sequence[float | None], window: int) -> tuple[float, float] | None:
    """Means of the first and the last `window` known values; None where these would overlap."""
    known = [value for value in series if value is not None]
    if len(known) < 2 * window:
        return None
    return statistics.fmean(known[:window]), statistics.fmean(known[-window:])


def _series(history: Sequence[Mapping[str, float | None]], key: str) -> list[float | None]:
    """The metric over the steps; what was not logged or is no number is None."""
    values = [metrics.get(key) for metrics in history]
    return [None if value is None or not math.isfinite(value) else value for value in values]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
