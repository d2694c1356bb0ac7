"""Rewards whose weights stand in the prompt: one policy learns all settings and is steered by what the prompt says.

The policy reads the weights as text ahead of the question; sources are asked about the question alone, and their
scores count by the weights of the sample. Knows nothing of models or of training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from experiments.lib.sources import DerivedSource
from spanwise.core import DataError
from spanwise.feedback import PromptRecord, RewardSource, Sample, SegmentScore, SegmentScores
from spanwise.rewards import MixtureConfig, SourceWeight

PLAIN_PROMPT, WEIGHTS = "plain_prompt", "weights"
"""Keys of a record's metadata."""
BY_PROMPT = "_by_prompt"
"""What the name of a weighed source ends in."""

RecordT = TypeVar("RecordT", bound=PromptRecord)


def with_weights(record: RecordT, weights: Mapping[str, float]) -> RecordT:
    """The record with `weights` as text ahead of its prompt, such as "[relevance 1.5] Who ...?"."""
    text = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    metadata = {**record.metadata, PLAIN_PROMPT: record.prompt, WEIGHTS: dict(weights)}
    return record.model_copy(update={"prompt": f"[{text}] {record.prompt}", "metadata": metadata})


def plain_sample(sample: Sample) -> Sample:
    """The sample with the prompt as it was before the weights; raises DataError for one that never had any."""
    if PLAIN_PROMPT not in sample.metadata:
        raise DataError(f"The prompt {sample.prompt[:80]!r} names no weights; make it with `with_weights`.")
    return replace(sample, prompt=sample.metadata[PLAIN_PROMPT])


class ConditionedSource(DerivedSource):
    """A source whose scores come weighed as the sample's prompt says: the part of the reward that the prompt steers.

    A score is weight * unit * clip((score - center) / scale), with the numbers of `rule`. The source itself stays
    beside it unweighed, for the log and for sources that it gates.
    """

    def __init__(self, source: RewardSource, rule: SourceWeight, unit: float) -> None:
        super().__init__(source)
        self.rule = rule
        self.unit = unit

    @property
    def name(self) -> str:
        """The source's name, and that it is weighed."""
        return self.source.name + BY_PROMPT

    @property
    def version(self) -> str:
        """Changes with the source and with what its scores are multiplied by."""
        return f"{self.source.version}, by weights in the prompt, {self.rule.model_dump_json()}, {self.unit!r}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The source's scores, each by the weight of its sample; what could not be scored stays so."""
        said = self.source.score([plain_sample(sample) for sample in samples])
        return [self._weighed(scores, sample) for scores, sample in zip(said, samples, strict=True)]

    def _weighed(self, scores: SegmentScores, sample: Sample) -> SegmentScores:
        weight = sample.metadata[WEIGHTS].get(self.source.name)
        if weight is None:
            raise DataError(
                f"The prompt {sample.prompt[:80]!r} gives no weight for the reward {self.source.name!r}; add it."
            )
        factor = weight * self.unit
        return SegmentScores(
            tuple(
                SegmentScore(one.span, factor * self.rule.value_of(one.value))
                if isinstance(one.value, float | int)
                else one
                for one in scores.scores
            ),
            scores.missing,
        )


class PlainSource(DerivedSource):
    """A source with a fixed weight: it only needs the plain prompt."""

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The source's scores of the plain prompts."""
        return self.source.score([plain_sample(sample) for sample in samples])


def conditioned(
    sources: Sequence[RewardSource], mixture: MixtureConfig, names: Sequence[str], *, unit: float = 1.0
) -> tuple[list[RewardSource], MixtureConfig]:
    """Sources and mixture for prompts made by `with_weights`: the sources `names` are weighed by the prompt.

    Each of these is there twice: as it was, with weight 0, and weighed, as `<name>_by_prompt`.
    `unit` is what a weight of 1 in the prompt is in the mixture.
    """
    rules = dict(mixture.sources)
    found: list[RewardSource] = [PlainSource(source) for source in sources]
    for source in sources:
        if source.name in names:
            rule = rules[source.name]
            weighed = ConditionedSource(source, rule, unit)
            found.append(weighed)
            fixed = {"weight": 0.0, "final_weight": None, "schedule_steps": 0}
            rules[source.name] = rule.model_copy(update=fixed)
            done = {**fixed, "weight": 1.0, "center": 0.0, "scale": 1.0, "clip": None}
            rules[weighed.name] = rule.model_copy(update=done)
    return found, MixtureConfig(sources=rules)
