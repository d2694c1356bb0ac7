"""Reward sources made of another one: the base of them, and token rewards pooled over segments.

Single tokens can be noisy judges; their mean over a segment is steadier. Knows nothing of models or of the policy's
tokens.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Literal

from spanwise.feedback import Density, RewardSource, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.text import Span, get_segmenter

Pooling = Literal["mean", "sum", "min"]

_POOLS: dict[Pooling, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "sum": sum,
    "min": min,
}


class DerivedSource:
    """Has name, category, density and version of `source`; a subclass changes what it changes, and its version."""

    def __init__(self, source: RewardSource) -> None:
        self.source = source

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def category(self) -> str:
        """The source's category."""
        return self.source.category

    @property
    def density(self) -> Density:
        """The source's density."""
        return self.source.density

    @property
    def version(self) -> str:
        """The source's version."""
        return self.source.version


class PooledSource(DerivedSource):
    """`source`, whose scores are of tokens, at a coarser density; it takes the source's name and category."""

    def __init__(self, source: RewardSource, density: Density, pooling: Pooling = "mean") -> None:
        super().__init__(source)
        self._density: Density = density
        self._pooling: Pooling = pooling
        self._segmenter = get_segmenter(density)

    @property
    def density(self) -> Density:
        """The density after pooling."""
        return self._density

    @property
    def version(self) -> str:
        """Changes with the source and with how it is pooled."""
        return f"{self.source.version}-{self._density}-{self._pooling}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per segment of each sample."""
        scored = self.source.score(samples)
        return [
            pool_scores(scores, sample.response, self._segmenter, self._pooling)
            for sample, scores in zip(samples, scored, strict=True)
        ]


def pool_scores(
    scores: SegmentScores, text: str, segmenter: Callable[[str], tuple[Span, ...]], pooling: Pooling = "mean"
) -> SegmentScores:
    """The scores of tokens pooled by segment; a token belongs where its first character that is no blank lies.

    The closing token belongs to the last segment. A segment with an unscored token, or without one, is unscored.
    """
    if scores.missing is not None:
        return scores
    segments = segmenter(text)
    starts = [segment.start for segment in segments]
    values: list[list[float | Unscored]] = [[] for _ in segments]
    for score in scores.scores:
        if segments:
            values[max(0, bisect_right(starts, _first_letter(score.span, text)) - 1)].append(score.value)
    return SegmentScores(
        tuple(SegmentScore(span, _pooled(mine, pooling)) for span, mine in zip(segments, values, strict=True))
    )


def _first_letter(token: Span, text: str) -> int:
    quote = token.of(text)
    return token.start + (len(quote) - len(quote.lstrip()) if quote.strip() else 0)


def _pooled(values: Sequence[float | Unscored], pooling: Pooling) -> float | Unscored:
    missing = next((value for value in values if isinstance(value, Unscored)), None)
    known = [value for value in values if not isinstance(value, Unscored)]
    if missing is not None or not known:
        return missing or Unscored("no token of the reward model lies in this segment")
    return _POOLS[pooling](known)
