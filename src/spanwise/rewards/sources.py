"""Reward sources from scorers, as a config names them."""

from collections.abc import Mapping, Sequence
from itertools import chain

from torch import nn

from spanwise.core import ConfigError, resolve_device
from spanwise.feedback import RewardSource
from spanwise.models import Adapters, Policy
from spanwise.reward_models.network import load_reward_model
from spanwise.rewards.change import ChangeReward, HolisticReward
from spanwise.rewards.config import AnySource, RewardModelUse, RewardsConfig, SourcesConfig
from spanwise.rewards.foreign import Critics, HttpReward, SourceConfig, load_model, own_function, own_source
from spanwise.rewards.learned import LearnedRewards, LearnedSource, load_sources
from spanwise.rewards.marked_words import MarkedWords
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rewards.scorers import ScorerUse, load_scorer
from spanwise.rewards.signals import (
    AttributionConfig,
    EntailmentConfig,
    EntailmentReward,
    LeaveOneOut,
    LogRatioConfig,
    LogRatioReward,
    RuleConfig,
    rule,
)


def load_pipeline(config: RewardsConfig, *, device: str = "auto") -> RewardPipeline:
    """The rewards that a config describes, ready to score; errors as in `configured_sources`."""
    return RewardPipeline(configured_sources(config, device=device), config.mixture, config.placement)


def configured_sources(config: SourcesConfig, *, device: str = "auto") -> list[RewardSource]:
    """All sources of a config; raises CheckpointError or ConfigError for a model or scorer that is not there."""
    learned = learned_sources(config.reward_models, device=device)
    own = [*chain.from_iterable(learned.values()), *scorer_sources(config.scorers, device=device)]
    return [*own, *foreign_sources(config.sources, device=device, beside=own)]


def learned_sources(
    uses: Mapping[str, RewardModelUse], *, device: str = "auto", onto: Adapters | None = None
) -> dict[str, list[LearnedSource]]:
    """The sources of each reward model, by its name in the config; `onto` as in `LearnedRewards.from_pretrained`."""
    return {
        name: load_sources(
            use.checkpoint, heads=use.heads, hard=use.hard, batch_size=use.batch_size, device=device, onto=onto
        )
        for name, use in uses.items()
    }


def foreign_sources(
    uses: Mapping[str, AnySource],
    *,
    device: str = "auto",
    beside: Sequence[RewardSource] = (),
    policy: Policy | None = None,
) -> list[RewardSource]:
    """One source per entry, named as its key; raises CheckpointError or ConfigError for one that is not there.

    Those that share out the score of another source find it among the entries and `beside` them. `policy` is what a
    critic asks that is the policy itself.
    """
    critics = Critics(policy)
    made = {
        name: _made(name, use, device, critics) for name, use in uses.items() if not isinstance(use, AttributionConfig)
    }
    known = {source.name: source for source in [*beside, *made.values()]}
    for name, use in uses.items():
        if isinstance(use, AttributionConfig):
            made[name] = _attributed(name, use, known)
    return [made[name] for name in uses]


def _attributed(name: str, use: AttributionConfig, known: Mapping[str, RewardSource]) -> RewardSource:
    if use.of not in known:
        raise ConfigError(f"sources.{name}.of: there is no source {use.of!r} to share out; known: {', '.join(known)}.")
    return LeaveOneOut(name, use, known[use.of])


def _made(
    name: str, use: SourceConfig | LogRatioConfig | EntailmentConfig | RuleConfig, device: str, critics: Critics
) -> RewardSource:
    if isinstance(use, LogRatioConfig):
        return LogRatioReward.load(name, use, device=resolve_device(device))
    if isinstance(use, EntailmentConfig):
        return EntailmentReward.load(name, use, device=device)
    return _of_others(name, use, device, critics) if isinstance(use, SourceConfig) else rule(name, use)


def _of_others(name: str, use: SourceConfig, device: str, critics: Critics) -> RewardSource:
    match use.kind:
        case "class":
            return own_source(name, use)
        case "function":
            return own_function(name, use)
        case "http":
            return HttpReward(name, use)
        case "critic":
            return critics.source(name, use)
        case _:
            return load_model(name, use, device=device)


def scorer_sources(uses: Mapping[str, ScorerUse], *, device: str = "auto") -> list[RewardSource]:
    """One source per entry, named as its key; raises CheckpointError or ConfigError for a scorer that is not there."""
    return [_source(name, use, device) for name, use in uses.items()]


def _source(name: str, use: ScorerUse, device: str) -> RewardSource:
    if use.checkpoint is not None:
        model, tokenizer = load_reward_model(use.checkpoint)
        nn.Module.to(model, resolve_device(device))
        return MarkedWords(name, LearnedRewards(model, tokenizer), category=use.category)
    assert use.scorer is not None, "the config holds one of the two"
    scorer = load_scorer(use.scorer, device=device)
    if use.reward == "holistic":
        return HolisticReward(name, scorer, use.category)
    return ChangeReward(name, scorer, use.density, use.category)
