"""The reward sources that are compared: each trained on the feedback of the same answers, with the same budget.

Knows nothing of how they are measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import RunFolder
from spanwise.feedback import Density, EditPair, FeedbackRecord, RewardSource
from spanwise.models import Policy
from spanwise.reward_models import FactualityRule, FittingConfig, RelevanceRule, RewardModelConfig
from spanwise.reward_models.config import PhraseConfig
from spanwise.reward_models.fitting import Backbone, train_reward_model
from spanwise.rewards import LearnedRewards
from spanwise.rewards.signals import (
    AttributionConfig,
    LeaveOneOut,
    LengthConfig,
    LogRatioConfig,
    LogRatioReward,
    rule,
)
from spanwise.training import DPOConfig, train_dpo

OWN = "ours (Apache-2.0)"


@dataclass(frozen=True)
class Teaching:
    """What sources learn from, and how."""

    records: Sequence[FeedbackRecord]
    backbone: Backbone
    fitting: FittingConfig
    relevance: RelevanceRule
    factuality: FactualityRule
    models: str
    """The backbone, with its licence."""
    features: bool = True
    seed: int = 0
    max_words: int = 60
    """The length that the rule allows."""
    use_passages: bool = True
    layers: int | None = None
    shared_out: tuple[Density, ...] = ("sentence", "sub-sentence", "token")
    """The parts among which the score of a whole answer is shared out; by words it takes a reading for each."""


@dataclass(frozen=True)
class Named:
    """A source as the table calls it."""

    title: str
    source: RewardSource
    models: str


def from_feedback(teaching: Teaching) -> Iterator[Named]:
    """Rules, heads from marks, and heads from preferences alone: whole, shared out, and pooled at three densities."""
    yield Named("length rule", rule("length", LengthConfig(max_words=teaching.max_words)), "none")
    marks = _trained(teaching, heads=("relevance", "factuality"))
    for source in marks.sources():
        yield Named(f"{source.name}, from marks", source, teaching.models)
    (whole,) = _trained(teaching, heads=("preference",)).sources()
    yield Named("preference, whole answer", whole, teaching.models)
    for density in teaching.shared_out:
        config = AttributionConfig(of="preference", density=density)
        title = f"preference, shared out by {'word' if density == 'token' else density}"
        yield Named(title, LeaveOneOut("shares", config, whole), teaching.models)
    for density in ("sentence", "sub-sentence", "token"):
        (pooled,) = _trained(teaching, heads=("preference",), pool=density).sources()
        yield Named(f"preference, pooled by {density}", pooled, teaching.models)


def pooled_by_phrase(teaching: Teaching, start: str) -> Named:
    """The pooled head on phrases that `start` cuts."""
    phrases = PhraseConfig(model=start)
    (pooled,) = _trained(teaching, heads=("preference",), pool="phrase", phrases=phrases).sources()
    return Named("preference, pooled by phrase", pooled, teaching.models)


def implicit(
    start: str, pairs: Sequence[EditPair], heldout: Sequence[EditPair], config: DPOConfig, folder: Path
) -> Named:
    """The log-ratio of the policy after DPO on edits."""
    result = train_dpo(Policy.load(start), pairs, heldout, config=config, run=RunFolder(folder))
    settings = LogRatioConfig(policy=str(result.checkpoint), ref_policy=start, beta=config.loss.beta)
    return Named("log-ratio of DPO on edits", LogRatioReward.load("implicit", settings, device="cpu"), OWN)


def _trained(teaching: Teaching, **settings: object) -> LearnedRewards:
    config = RewardModelConfig.from_values(
        {
            "relevance": teaching.relevance.model_dump(),
            "factuality": teaching.factuality.model_dump(),
            "fitting": teaching.fitting.model_dump(),
            "features": teaching.features and settings.get("pool") != "token",
            "use_passages": teaching.use_passages,
            "layers": teaching.layers,
            "seed": teaching.seed,
            "device": "cpu",
            **settings,
        },
        place="reward_sources",
    )
    run = train_reward_model(config, teaching.records, backbone=teaching.backbone)
    return LearnedRewards(run.model, run.tokenizer)
