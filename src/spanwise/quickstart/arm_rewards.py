"""The reward model of an arm of the study, trained on one seed's feedback, and how each arm mixes its heads.

Knows nothing of policies.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.core import RunFolder, derive_seed
from spanwise.evals.statistics import ReliabilityBin, RewardModelQuality
from spanwise.feedback import FeedbackRecord, Sample, scores_of
from spanwise.quickstart.config import ABLATIONS, FINE_GRAINED_HEADS, PREFERENCE, SimStudyConfig
from spanwise.reward_models import FactualityRule, RelevanceRule, RewardModelConfig
from spanwise.reward_models.fitting import HeadQuality, train_reward_model
from spanwise.reward_models.network import load_backbone
from spanwise.rewards import (
    LearnedRewards,
    MixtureConfig,
    RewardPipeline,
    SourceWeight,
    segment_statistics,
    total_deviation,
)
from spanwise.sim import base_checkpoint


@dataclass(frozen=True)
class ArmRewards:
    """A reward model, what was measured of its heads, and the answers of the SFT policy that give its scale."""

    config: SimStudyConfig
    learned: LearnedRewards
    quality: dict[str, RewardModelQuality]
    reference: Sequence[Sample]

    def pipeline(self, arm: str) -> RewardPipeline:
        """The arm's sources, each standardised over the segments of the SFT policy's answers.

        Uncentred, every segment that is right more often than not pays, and answers grow (wu2023.md D4). The sum of all
        is scaled to unit deviation over those answers, so that the KL coefficient weighs the same in every arm; an
        ablation keeps the scale of the full mixture.
        """
        sources = self.learned.sources()
        scores = {source.name: scores_of(source, self.reference) for source in sources}
        rules: dict[str, SourceWeight] = {}
        for name, of_source in scores.items():
            mean, deviation = segment_statistics(of_source)
            rules[name] = SourceWeight(
                weight=self.config.weights[name],
                center=mean + self.config.bars.get(name, 0.0) * deviation,
                scale=deviation,
                aggregate="mean" if name in self.config.averaged else "sum",
                gate=self._gate(arm, name),
                missing="mask",
            )
        deviation = total_deviation(MixtureConfig(sources=rules), scores)
        weights = {name: 0.0 if ABLATIONS.get(arm) == name else rule.weight / deviation for name, rule in rules.items()}
        mixed = {name: rule.model_copy(update={"weight": weights[name]}) for name, rule in rules.items()}
        return RewardPipeline(sources, MixtureConfig(sources=mixed))

    def _gate(self, arm: str, name: str) -> str | None:
        """The gate of the reward `name`; an arm that leaves a reward out does not let it gate another, either."""
        gate = self.config.gates.get(name)
        return None if ABLATIONS.get(arm) == gate else gate


def heads_of(kind: str) -> tuple[str, ...]:
    """The heads of the reward model of preference RLHF, or of the fine-grained arms."""
    return (PREFERENCE,) if kind == PREFERENCE else FINE_GRAINED_HEADS


def train_rewards(
    kind: str,
    feedback: Sequence[FeedbackRecord],
    config: SimStudyConfig,
    *,
    reference: Sequence[Sample],
    seed: int,
    folder: RunFolder,
) -> ArmRewards:
    """Trains the reward model of `kind` into `folder`."""
    settings = RewardModelConfig(
        heads=heads_of(kind),
        relevance=RelevanceRule(min_span_words=3, min_coverage=0.5),  # a jittered mark may touch a neighbour
        factuality=FactualityRule(density="sub-sentence"),  # a clause of this world states one fact
        fitting=config.fitting,
        features=config.features,
        likelihoods=config.likelihoods,
        seed=derive_seed(seed, f"sim/reward/{kind}"),
        device="cpu",
    )
    run = train_reward_model(settings, feedback, backbone=load_backbone(str(base_checkpoint())), folder=folder)
    quality = {name: _quality(name, head) for name, head in run.heads.items()}
    return ArmRewards(config, LearnedRewards(run.model, run.tokenizer), quality, reference)


def _quality(name: str, head: HeadQuality) -> RewardModelQuality:
    """The held-out figures of one head in the words of the report; what is not a number was not measured."""
    return RewardModelQuality(
        label=name.capitalize(),
        density=head.density,
        metrics={key: value if math.isfinite(value) else None for key, value in head.metrics.items()},
        reliability=tuple(ReliabilityBin.model_validate(bin_) for bin_ in head.reliability),
    )
