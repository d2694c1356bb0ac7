"""Controls for token rewards: does it matter where they are, or only that they are many?

A placebo pays each response the same rewards as its source, at other tokens. Knows nothing of models or of RL.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from spanwise.feedback import Density, RewardSource, Sample, SegmentScore, SegmentScores


class PermutedSource:
    """`source` with the scores of each response dealt out anew among the same spans: same sum, wrong places.

    The order depends on the seed and the response alone, so that the source stays pure. Missing scores move as others.
    """

    def __init__(self, source: RewardSource, *, seed: int = 0) -> None:
        self._source = source
        self._seed = seed

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def category(self) -> str:
        """The source's category."""
        return self._source.category

    @property
    def density(self) -> Density:
        """The source's density."""
        return self._source.density

    @property
    def version(self) -> str:
        """Changes with the source and the seed."""
        return f"{self._source.version}-permuted-{self._seed}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The source's scores, permuted within each response."""
        scored = self._source.score(samples)
        return [self._permuted(scores, sample) for scores, sample in zip(scored, samples, strict=True)]

    def _permuted(self, scores: SegmentScores, sample: Sample) -> SegmentScores:
        if scores.missing is not None:
            return scores
        text = f"{self._seed}/{sample.prompt}\0{sample.response}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        order: list[int] = np.random.default_rng(seed).permutation(len(scores.scores)).tolist()
        values = [scores.scores[place].value for place in order]
        return SegmentScores(
            tuple(SegmentScore(score.span, value) for score, value in zip(scores.scores, values, strict=True))
        )
