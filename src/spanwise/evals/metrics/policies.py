"""The arms of `spanwise evaluate` that answer here: a policy under both decodings, and the free rivals of another.

Knows nothing of metrics, except that ROUGE-Lsum chooses the temperature where there are no reward models.
"""

from collections.abc import Callable, Sequence

from spanwise.core import DataError, RunFolder
from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.metrics.responses import load_prompts
from spanwise.evals.metrics.rouge import RougeLsum
from spanwise.evals.rivals import (
    AnsweredArm,
    AnswerReward,
    FreeRivalsConfig,
    Track,
    both_decodings,
    free_rivals,
    train_on_liked,
)
from spanwise.feedback import DemonstrationRecord, PromptRecord, RewardSource, load_or_raise
from spanwise.models import Answer, Policy

POLICY, BASELINE, LIKED = "policy", "baseline-policy", "sft-on-liked"


def answered_arms(
    config: EvaluateConfig, sources: Sequence[RewardSource], *, track: Track, say: Callable[[str], None]
) -> tuple[list[AnsweredArm], list[AnsweredArm]]:
    """The answers of the policy and those of the free rivals, each empty where the config names none."""
    records = list(load_prompts(config.prompts).values())
    trained: list[AnsweredArm] = []
    if config.policy is not None:
        say(f"Answers of {config.policy}")
        policy = Policy.load(config.policy, device=config.device)
        trained = both_decodings(policy, records, config.answering, name=POLICY, label="Policy", track=track)
    rivals = config.free_rivals
    return trained, [] if rivals is None else _rivals(config, rivals, records, sources, track=track, say=say)


def mean_rouge(records: Sequence[PromptRecord], answers: Sequence[Answer]) -> float:
    """Mean ROUGE-Lsum of the answers that have a reference; DataError where none has."""
    rouge = RougeLsum()
    references = {record.id or str(number): record.references for number, record in enumerate(records)}
    values = [rouge(answer.response, references[answer.id]) for answer in answers]
    known = [value for value in values if isinstance(value, float)]
    if not known:
        raise DataError(
            "free_rivals.validation: no prompt has a reference that ROUGE reads, and no reward model chooses the "
            "temperature; give references or reward_models."
        )
    return sum(known) / len(known)


def _rivals(
    config: EvaluateConfig,
    rivals: FreeRivalsConfig,
    records: Sequence[PromptRecord],
    sources: Sequence[RewardSource],
    *,
    track: Track,
    say: Callable[[str], None],
) -> list[AnsweredArm]:
    validation = list(load_prompts(rivals.validation).values())
    demonstrations = load_or_raise(rivals.demonstrations, DemonstrationRecord) if rivals.demonstrations else []
    reward = AnswerReward(sources, config.mixture) if sources else None
    say(f"Free rivals of {rivals.policy}")
    arms = free_rivals(
        Policy.load(rivals.policy, device=config.device), records, rivals, config.answering, validation=validation,
        measure=mean_rouge if reward is None else reward.mean, reward=reward, name=BASELINE, label="Baseline policy",
        track=track, say=say,
    )  # fmt: skip
    if reward is None or not demonstrations or rivals.run_dir is None:
        return arms
    say(f"Fine-tuning on the {rivals.liked_share:.0%} of {len(demonstrations):,} demonstrations that are liked best")
    start = Policy.load(rivals.start or rivals.policy, device=config.device)
    liked = train_on_liked(
        start, demonstrations, reward, share=rivals.liked_share, config=rivals.sft, run=RunFolder(rivals.run_dir)
    )
    label = "SFT on the demonstrations liked best"
    return arms + both_decodings(liked, records, config.answering, name=LIKED, label=label, track=track)
