"""Weighs what several reward sources said: centre, scale, clip and weight, source by source and segment by segment.

Knows nothing of tokens (`projection.py`), of models or of torch. Statistics are over segment scores, never over
tokens, and they are numbers of the config, so that a run cannot drift while it runs. What a source could not score
stops the run or leaves the response out, as the config says; it is never 0.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spanwise.core import ConfigError, ScoringError
from spanwise.feedback import SegmentScore, SegmentScores, Unscored
from spanwise.rewards.config import MixtureConfig
from spanwise.text import Span


@dataclass(frozen=True, slots=True)
class WeightedScores:
    """The share of one source in the reward of one response: spans and the values they are paid."""

    spans: tuple[Span, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MixedScores:
    """The shares of all sources in one response; `dropped` says why the response must not be learned from."""

    shares: dict[str, WeightedScores]
    dropped: Unscored | None = None

    @property
    def total(self) -> float | None:
        """The reward of the whole response; None where it could not be scored."""
        return None if self.dropped else sum(sum(share.values) for share in self.shares.values())


class Mixture:
    """Applies a MixtureConfig to the scores of named sources.

    Raises ConfigError when config and sources do not name the same sources.
    """

    def __init__(self, config: MixtureConfig, names: Sequence[str]) -> None:
        self.config = config
        self.names = tuple(names)
        for name, rule in config.sources.items():
            if name not in self.names:
                raise ConfigError(f"sources.{name}: there is no such reward source; known: {', '.join(self.names)}.")
            if rule.gate is not None and rule.gate not in set(self.names) - {name}:
                raise ConfigError(f"sources.{name}.gate: {rule.gate!r} is no other source; name one, or leave it out.")
        for name in self.names:
            if name not in config.sources:
                raise ConfigError(f"Reward source {name!r} has no entry under sources; add one (weight 0 is legal).")
            if self.names.count(name) > 1:
                raise ConfigError(f"Two reward sources are named {name!r}; give each its own name.")

    def weights(self, step: int) -> dict[str, float]:
        """The weight of each source at `step`."""
        return {name: self.config.sources[name].weight_at(step) for name in self.names}

    def mix(self, raw: Mapping[str, SegmentScores], *, step: int = 0) -> MixedScores:
        """Weighs the scores of one response; raises ScoringError for one missing under missing="raise"."""
        shares: dict[str, WeightedScores] = {}
        dropped: Unscored | None = None
        for name in self.names:
            gap = None if self.config.sources[name].weight_at(step) == 0 else self._gap(name, raw)
            if gap is not None and self.config.sources[name].missing == "raise":
                raise ScoringError(
                    f'Reward source {name!r} could not score a response: {gap.reason}. Set missing: "mask" '
                    f"under sources.{name} to leave such responses out."
                )
            dropped = dropped or gap
            shares[name] = WeightedScores() if gap else self._share(name, raw, step)
        if dropped:
            shares = dict.fromkeys(self.names, WeightedScores())
        return MixedScores(shares, dropped)

    def _gap(self, name: str, raw: Mapping[str, SegmentScores]) -> Unscored | None:
        """Why the source, or its gate, could not judge this response."""
        rule = self.config.sources[name]
        gap = _gap(raw[name]) or (None if rule.gate is None else _gap(raw[rule.gate]))
        segments = len(raw[name].scores)
        if gap is None and rule.max_segments is not None and segments > rule.max_segments:
            return Unscored(f"the answer has {segments} segments, max_segments is {rule.max_segments}")
        return gap

    def _share(self, name: str, raw: Mapping[str, SegmentScores], step: int) -> WeightedScores:
        rule = self.config.sources[name]
        weight = rule.weight_at(step)
        if weight == 0:
            return WeightedScores()
        scored = _numbers(raw[name])
        gate = None if rule.gate is None else _numbers(raw[rule.gate])
        shares = [1.0 if gate is None else _openness(span, gate) for span, _ in scored]
        factor = weight / rule.divisor(len(scored))
        return WeightedScores(
            spans=tuple(span for span, _ in scored),
            values=tuple(
                factor * share * rule.value_of(score, number / len(scored))
                for number, (share, (_, score)) in enumerate(zip(shares, scored, strict=True), start=1)
            ),
        )


def segment_statistics(scores: Iterable[SegmentScores]) -> tuple[float, float]:
    """Mean and standard deviation of all segment scores, for a source's center and scale.

    Raises ScoringError when fewer than two segments were scored.
    """
    values = [value for item in scores for _, value in _numbers(item)]
    if len(values) < 2:
        raise ScoringError(f"Mean and deviation need at least 2 scored segments, there are {len(values)}.")
    return statistics.fmean(values), statistics.stdev(values)


@dataclass(frozen=True, slots=True)
class Slopes:
    """Lines in ln(k / S) through the means and the deviations of scores at each place of an answer."""

    center: float
    center_slope: float
    scale: float
    scale_slope: float
    center_error: float
    """How far the means are from their line: root of the mean square, weighted by count."""
    scale_error: float


def fit_slopes(scores: Iterable[SegmentScores]) -> Slopes:
    """The slopes of a source's weight, from scores of the start policy's answers.

    Segment k of S stands at k / S. Least squares through the mean at each place, weighted by how many scores it has,
    and through their population deviation, weighted by one less: a single score says nothing of spread. Raises
    ScoringError where there are not two places with two scores each.
    """
    by_place: dict[float, list[float]] = {}
    for item in scores:
        scored = _numbers(item)
        for number, (_, value) in enumerate(scored, start=1):
            by_place.setdefault(number / len(scored), []).append(value)
    counts = np.array([len(values) for values in by_place.values()], dtype=float)
    if (counts > 1).sum() < 2:
        raise ScoringError("Slopes need two scores at two places of an answer at least; score more answers.")
    logs = np.log(list(by_place))
    center = _line(logs, np.array([np.mean(values) for values in by_place.values()]), counts)
    scale = _line(logs, np.array([np.std(values) for values in by_place.values()]), counts - 1)
    return Slopes(center[0], center[1], scale[0], scale[1], center[2], scale[2])


def _line(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> tuple[float, float, float]:
    """Intercept, slope and weighted root mean square error."""
    slope, intercept = np.polyfit(x, y, 1, w=np.sqrt(weight))
    error = np.sqrt(np.average((y - intercept - slope * x) ** 2, weights=weight))
    return float(intercept), float(slope), float(error)


def total_deviation(config: MixtureConfig, scores: Mapping[str, Sequence[SegmentScores]]) -> float:
    """Standard deviation of a response's total reward, over responses whose scores are given source by source.

    Raises ScoringError when fewer than two responses were scored, or all earn the same.
    """
    mixture = Mixture(config, list(scores))
    rows = [dict(zip(scores, row, strict=True)) for row in zip(*scores.values(), strict=True)]
    totals = [total for row in rows if (total := mixture.mix(row).total) is not None]
    deviation = statistics.stdev(totals) if len(totals) > 1 else 0.0
    if deviation == 0:
        raise ScoringError(f"The totals of {len(totals)} scored responses have no spread; score more responses.")
    return deviation


def _numbers(scores: SegmentScores) -> list[tuple[Span, float]]:
    return [(score.span, score.value) for score in scores.scores if isinstance(score.value, float | int)]


def _openness(span: Span, gate: Sequence[tuple[Span, float]]) -> float:
    """Mean over the characters of `span` of (score + 1) / 2, held between 0 and 1; 1 where the gate says nothing."""
    overlaps = [(min(span.end, other.end) - max(span.start, other.start), value) for other, value in gate]
    touching = [(size, max(0.0, min(1.0, (value + 1) / 2))) for size, value in overlaps if size > 0]
    total = sum(size for size, _ in touching)
    return sum(size * share for size, share in touching) / total if total else 1.0


def _gap(scores: SegmentScores) -> Unscored | None:
    if scores.missing is not None:
        return scores.missing
    return next((gap for gap in map(_score_gap, scores.scores) if gap is not None), None)


def _score_gap(score: SegmentScore) -> Unscored | None:
    if isinstance(score.value, Unscored):
        return score.value
    interval = f"[{score.span.start}, {score.span.end})"
    return None if math.isfinite(score.value) else Unscored(f"the score of {interval} is {score.value}")
