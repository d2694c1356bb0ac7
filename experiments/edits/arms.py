"""The arms of the study of edits: which reward each one pays, and where.

All start from one SFT policy and learn from as many pairs. Knows reward sources; nothing of training.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from experiments.lib.sources import DerivedSource
from spanwise.feedback import RewardSource, Sample, SegmentScore, SegmentScores
from spanwise.rewards import (
    Aggregate,
    MixtureConfig,
    Placement,
    RewardPipeline,
    SourceWeight,
    segment_statistics,
    total_deviation,
)

SFT = "sft"
ORIGINAL, EDITS = "original", "edits"
"""Sequence reward models: trained on preferences between two answers, and on edits as preferences."""
LABELLED = "labelled"
"""The token reward model that also learns the originals' tokens as labels, from the same edits."""
CLIP = 5.0
"""Standardised token rewards are bounded by this (TLCR's bound)."""


@dataclass(frozen=True, slots=True)
class EditArm:
    """One arm: its token reward model by the name of its loss or LABELLED, its sequence model, and where rewards go."""

    label: str
    token: str = ""
    sequence: str = ""
    oracle: bool = False
    permuted: bool = False
    placement: Placement = "end"


ARMS: dict[str, EditArm] = {
    "sequence-original": EditArm("Sequence reward, original pairs", sequence=ORIGINAL),
    "sequence-edits": EditArm("Sequence reward, edit pairs", sequence=EDITS),
    "token-edited": EditArm("Token rewards, equation 4", token="edited"),
    "token-full": EditArm("Token rewards, full loss", token="full"),
    "token": EditArm("Token rewards, with consistency", token="edited+consistency"),
    "token-labels": EditArm("Token rewards, with consistency and labels", token=LABELLED),
    "placebo": EditArm("Placebo: token rewards permuted", token=LABELLED, permuted=True),
    "density": EditArm("Density control: sequence reward spread", sequence=EDITS, placement="every"),
    "hybrid": EditArm("Hybrid: token and sequence reward", token=LABELLED, sequence=EDITS),
    "oracle": EditArm("Oracle token rewards (ceiling)", oracle=True),
}
MAIN, PLACEBO, DENSITY, SEQUENCE = "token-labels", "placebo", "density", "sequence-edits"


class PermutedSource(DerivedSource):
    """A placebo: `source` with the scores of each response dealt out anew among the same spans; same sum, wrong places.

    The order depends on the seed and the response alone, so that the source stays pure. Missing scores move as others.
    """

    def __init__(self, source: RewardSource, *, seed: int = 0) -> None:
        super().__init__(source)
        self._seed = seed

    @property
    def version(self) -> str:
        """Changes with the source and the seed."""
        return f"{self.source.version}-permuted-{self._seed}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The source's scores, permuted within each response."""
        scored = self.source.score(samples)
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


def make_pipeline(
    arm: EditArm,
    models: Mapping[str, RewardSource],
    oracle: RewardSource,
    reference: Sequence[Sample],
    *,
    aggregate: Aggregate,
    seed: int,
) -> RewardPipeline:
    """The arm's sources, weighed so that a response's total has deviation 1 over the `reference` answers.

    Each source is centred there as well, over its tokens or its responses, so that one more average token pays nothing;
    and of two sources each counts alike. So the KL coefficient weighs the same in every arm.
    """
    sources = [models[name] for name in (arm.token, arm.sequence) if name] + [oracle] * arm.oracle
    if arm.permuted:
        sources = [PermutedSource(source, seed=seed) for source in sources]
    said = {source.name: source.score(reference) for source in sources}
    rules: dict[str, SourceWeight] = {}
    for source in sources:
        mean, deviation = segment_statistics(said[source.name])
        dense = source.density == "token"
        rule = SourceWeight(
            center=0.0 if arm.oracle else mean,
            scale=deviation,
            clip=CLIP if dense else None,
            aggregate=aggregate if dense else "sum",
            length=_mean_length(said[source.name]) if dense and aggregate == "fixed" else None,
            missing="mask",
        )
        rules[source.name] = _scaled(rule, total_deviation(_only(source.name, rule), _one(said, source.name)))
    whole = total_deviation(MixtureConfig(sources=rules), said)
    mixture = MixtureConfig(sources={name: _scaled(rule, whole) for name, rule in rules.items()})
    return RewardPipeline(sources, mixture, arm.placement)


def _only(name: str, rule: SourceWeight) -> MixtureConfig:
    return MixtureConfig(sources={name: rule})


def _one(said: Mapping[str, list[SegmentScores]], name: str) -> dict[str, list[SegmentScores]]:
    return {name: said[name]}


def _scaled(rule: SourceWeight, deviation: float) -> SourceWeight:
    return rule.model_copy(update={"weight": rule.weight / deviation})


def _mean_length(scores: Sequence[SegmentScores]) -> float:
    """Scored tokens of a mean response."""
    return fmean(len(one.scores) for one in scores if one.scores)
