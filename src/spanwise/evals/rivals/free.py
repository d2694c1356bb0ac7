"""All free rivals of a baseline policy: its answers under other decodings, the best of n, SFT on what is liked.

None of them costs training with rewards, so an arm that was trained has shown something only where it beats the best
of them. Nothing is chosen on the prompts of the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spanwise.core import RunFolder
from spanwise.evals.rivals.config import GREEDY, DecodingConfig, FreeRivalsConfig
from spanwise.evals.rivals.decodings import (
    AnswerReward,
    Measure,
    Track,
    answers_under,
    best_of_n,
    choose_temperature,
    liked_demonstrations,
    unwatched,
)
from spanwise.evals.statistics import Arm
from spanwise.feedback import DemonstrationRecord, PromptRecord
from spanwise.models import Answer, AnswerConfig, Policy
from spanwise.training import SFTConfig, train_sft

HELDOUT_EVERY = 10
"""One of so many liked demonstrations chooses the checkpoint."""


@dataclass(frozen=True)
class AnsweredArm:
    """Answers of one policy under one decoding."""

    name: str
    arm: Arm
    """Its label, decoding and description, without metrics."""
    answers: list[Answer]


def arm_name(policy: str, decoding: str) -> str:
    """The name of a policy's arm under a decoding: `sft@greedy`."""
    return f"{policy}@{decoding.replace(', ', '+').replace(' ', '-')}"


def both_decodings(
    policy: Policy,
    records: Sequence[PromptRecord],
    config: AnswerConfig,
    *,
    name: str,
    label: str,
    track: Track = unwatched,
) -> list[AnsweredArm]:
    """The policy's answers greedily and as `config` samples, which stand side by side in every table."""
    arms: list[AnsweredArm] = []
    for decoding in (DecodingConfig(), sampled(config)):
        words, policy_arm = _drawn(decoding, config), arm_name(name, GREEDY)
        arm = Arm(label=label, decoding=decoding.title, policy=policy_arm, description=words)
        answers = answers_under(policy, records, decoding, config, track=track)
        arms.append(AnsweredArm(arm_name(name, decoding.title), arm, answers))
    return arms


def sampled(config: AnswerConfig) -> DecodingConfig:
    """How `config` draws."""
    return DecodingConfig(temperature=config.sampling.temperature, top_p=config.top_p)


def free_rivals(
    policy: Policy,
    records: Sequence[PromptRecord],
    config: FreeRivalsConfig,
    answering: AnswerConfig,
    *,
    validation: Sequence[PromptRecord],
    measure: Measure,
    reward: AnswerReward | None = None,
    name: str = "baseline",
    label: str = "",
    track: Track = unwatched,
    say: Callable[[str], None] = lambda _: None,
) -> list[AnsweredArm]:
    """The rivals that decoding gives: greedy, as `answering` samples, best of n, the chosen temperature, top-p.

    `measure` chooses the temperature on `validation`; best of n takes from the sampled answers and costs no others.
    Without a `reward` there is no best of n.
    """
    label = label or config.policy
    rivals = both_decodings(policy, records, answering, name=name, label=label, track=track)

    def add(decoding: DecodingConfig, answers: list[Answer], words: str) -> None:
        arm = Arm(label=label, decoding=decoding.title, policy=arm_name(name, GREEDY), description=words)
        rivals.append(AnsweredArm(arm_name(name, decoding.title), arm, answers))

    drawn = sampled(answering)
    if reward is not None and config.best_of > 1:
        pool = rivals[1].answers
        best = best_of_n(pool, reward.of(records, pool), config.best_of)
        words = f"{config.best_of} answers drawn for each that is given"
        add(drawn.model_copy(update={"best_of": config.best_of}), best, words)
    decodings: dict[DecodingConfig, str] = {}
    if config.temperatures:
        chosen, measured = choose_temperature(
            policy, validation, config.temperatures, answering, measure=measure, track=track
        )
        say(f"Temperature {chosen:g} measures best on validation: " + _listed(measured))
        decodings[DecodingConfig(temperature=chosen)] = "chosen on validation prompts"
    if config.top_p < 1:
        decodings[DecodingConfig(temperature=drawn.temperature, top_p=config.top_p)] = _drawn(drawn, answering)
    for decoding, words in decodings.items():
        if decoding != drawn:
            add(decoding, answers_under(policy, records, decoding, answering, track=track), words)
    return rivals


def train_on_liked(
    start: Policy,
    demonstrations: Sequence[DemonstrationRecord],
    reward: AnswerReward,
    *,
    share: float,
    config: SFTConfig,
    run: RunFolder,
) -> Policy:
    """`start` fine-tuned on the `share` of the demonstrations that the reward likes best; every tenth is held out."""
    liked = liked_demonstrations(demonstrations, reward, share)
    heldout = liked[HELDOUT_EVERY - 1 :: HELDOUT_EVERY] or liked[-1:]
    learned = [record for number, record in enumerate(liked, start=1) if number % HELDOUT_EVERY]
    result = train_sft(start, learned, heldout, config=config, run=run)
    return Policy.load(result.checkpoint, device=str(start.device))


def _drawn(decoding: DecodingConfig, config: AnswerConfig) -> str:
    count = 1 if decoding.temperature == 0 else config.samples_per_prompt
    return "" if count == 1 else f"{count} answers a prompt"


def _listed(measured: Mapping[float, float]) -> str:
    return ", ".join(f"{temperature:g}: {value:.4g}" for temperature, value in measured.items())
