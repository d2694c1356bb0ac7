"""The one score of an answer, shared out among its parts: what would be lost without each.

A score at the end says that something is wrong, not where. The share of a part is the score less the score of the
answer without it; what these leave of the score goes to all parts alike, so that the shares sum to it and the answer
earns the same. Where a score is the sum of what each part earns, plus a number, the shares are what the parts earn plus
an equal part of that number. Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spanwise.core import ConfigError
from spanwise.feedback import Density, RewardSource, Sample, SegmentScore, SegmentScores, Unscored, scores_of
from spanwise.rewards.signals.config import AttributionConfig
from spanwise.text import Span, get_segmenter, words


@dataclass(frozen=True)
class LeaveOneOut:
    """The shares of each part of an answer in the score of `source`, whose density is sequence."""

    name: str
    config: AttributionConfig
    source: RewardSource

    def __post_init__(self) -> None:
        if self.source.density != "sequence":
            raise ConfigError(
                f"sources.{self.name}.of: {self.source.name!r} has a score per {self.source.density} already; "
                "only one score for a whole answer can be shared out."
            )

    @property
    def category(self) -> str:
        """That of the source where the config names none."""
        return self.config.category or self.source.category

    @property
    def density(self) -> Density:
        """That of the parts."""
        return self.config.density

    @property
    def version(self) -> str:
        """Changes with the source and the parts."""
        return f"{self.source.version}-leave-one-out-{self.config.density}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One share per part; an answer of one part pays it the whole score."""
        parts = [parts_of(sample.response, self.config.density) for sample in samples]
        asked = [[sample, *_without_each(sample, spans)] for sample, spans in zip(samples, parts, strict=True)]
        flat = iter(scores_of(self.source, [one for row in asked for one in row]))
        rows = [[_total(next(flat)) for _ in row] for row in asked]
        return [_shares(spans, totals) for spans, totals in zip(parts, rows, strict=True)]


def parts_of(text: str, density: Density) -> tuple[Span, ...]:
    """The parts that share a score: segments, or with density token words; none of a blank text."""
    if not text.strip():
        return ()
    return tuple(words(text)) if density == "token" else get_segmenter(density)(text)


def spread(spans: Sequence[Span], gains: Sequence[float], total: float) -> SegmentScores:
    """Gains of the parts, with what they leave of the total on all of them alike."""
    rest = (total - sum(gains)) / len(spans)
    return SegmentScores(tuple(SegmentScore(span, gain + rest) for span, gain in zip(spans, gains, strict=True)))


def _without_each(sample: Sample, spans: Sequence[Span]) -> list[Sample]:
    """The answer without each part, where there are several."""
    text = sample.response
    edges = [0, *(span.start for span in spans[1:]), len(text)]  # blanks between words go with the word before them
    if len(spans) < 2:
        return []
    return [Sample.of(sample, (text[:start] + text[end:]).strip()) for start, end in pairwise(edges)]


def _shares(spans: Sequence[Span], totals: Sequence[float | Unscored]) -> SegmentScores:
    missing = next((total for total in totals if isinstance(total, Unscored)), None)
    if missing is not None:
        return SegmentScores(missing=missing)
    if not spans:
        return SegmentScores()
    whole, *rest = np.array(totals, dtype=float)
    return spread(spans, [float(whole - without) for without in rest] if rest else [float(whole)], float(whole))


def _total(scores: SegmentScores) -> float | Unscored:
    if scores.missing is not None:
        return scores.missing
    gap = next((score.value for score in scores.scores if isinstance(score.value, Unscored)), None)
    return gap or float(sum(score.value for score in scores.scores if not isinstance(score.value, Unscored)))
