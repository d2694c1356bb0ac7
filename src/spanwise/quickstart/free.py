"""The free rivals of a seed's SFT policy in the simulated world: what its decoding and the demonstrations give alone.

Names of arms and how they answer stand here, so that `results.py` tells every seed's arms in one order. Knows nothing
of PPO.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import RunFolder
from spanwise.evals.rivals import GREEDY, AnswerReward, arm_name, best_places, train_on_liked
from spanwise.evals.statistics import Arm, ScoreTable
from spanwise.feedback import DemonstrationRecord, Sample
from spanwise.models import Policy, Sampling
from spanwise.quickstart.answers import Answers, answer_items, make_demonstrations, score_answers
from spanwise.quickstart.config import CEILINGS, FINE_GRAINED, LABELS, PREFERENCE, SFT, SFT_MORE, SimStudyConfig
from spanwise.quickstart.training import sft_settings
from spanwise.rewards import RewardPipeline
from spanwise.sim import SimItem, make_items, policy_checkpoint

Tables = dict[str, ScoreTable]


def greedily(arm: str) -> str:
    """The name of the arm's greedy answers."""
    return arm_name(arm, GREEDY)


def kind_of(arm: str) -> str:
    """Whose rewards an arm is trained with; empty where it is with none, or with the oracle's."""
    if arm in (SFT, SFT_MORE) or arm in CEILINGS:
        return ""
    return PREFERENCE if arm == PREFERENCE else FINE_GRAINED


def best_of_arm(kind: str) -> str:
    """The name of the best of n by the rewards of `kind`."""
    return f"{SFT}@{kind}-best-of"


def rival_arms(config: SimStudyConfig) -> dict[str, Arm]:
    """The free rivals beside the SFT policy's own two decodings, in the order of the tables."""
    rivals, samples = config.free_rivals, f"{config.test_samples} answers a prompt"
    drawn = f"temperature {config.sampling.temperature:g}"
    label, arms = LABELS[SFT], dict[str, Arm]()
    if rivals.top_p < 1:
        decoding = f"{drawn}, top-p {rivals.top_p:g}"
        arms[f"{SFT}@top-p"] = Arm(label=label, decoding=decoding, policy=SFT, description=samples)
    for kind in dict.fromkeys(filter(None, map(kind_of, config.arms))):
        rewards = f"by the {kind} rewards" if kind == FINE_GRAINED else "by the preference reward"
        if rivals.temperatures:
            words = f"chosen on validation prompts, {samples}"
            decoding = f"temperature {rewards}"
            arms[f"{SFT}@{kind}-temperature"] = Arm(label=label, decoding=decoding, policy=SFT, description=words)
        if rivals.best_of > 1:
            words, decoding = f"drawn at {drawn}", f"best of {rivals.best_of} {rewards}"
            arms[best_of_arm(kind)] = Arm(label=label, decoding=decoding, policy=SFT, description=words)
        if rivals.liked_share:
            name = f"liked-{kind}"
            words = f"the {rivals.liked_share:.0%} of the demonstrations that are liked best {rewards}"
            liked = Arm(label=f"SFT on demonstrations liked {rewards}", decoding=GREEDY, policy=name, description=words)
            arms[name] = liked
    return arms


def rivals_of(arm: str, config: SimStudyConfig) -> tuple[str, ...]:
    """The free rivals of an arm: the SFT policy's decodings, and what the arm's own rewards choose from it."""
    if arm == SFT:
        return ()
    others = {name for kind in (PREFERENCE, FINE_GRAINED) if kind != kind_of(arm) for name in _chosen_by(kind)}
    return (greedily(SFT), SFT, *(name for name in rival_arms(config) if name not in others))


def _chosen_by(kind: str) -> tuple[str, ...]:
    return f"{SFT}@{kind}-temperature", best_of_arm(kind), f"liked-{kind}"


@dataclass(frozen=True)
class SimRivals:
    """Measures the free rivals of one seed's SFT policy."""

    config: SimStudyConfig
    seed: int
    policy: Policy
    test: Sequence[SimItem]
    drawn: Answers
    """The policy's answers to `test` as training samples, from which the best are taken."""
    root: Path
    say: Callable[[str], None]

    def without_reward(self) -> dict[str, Tables]:
        """Top-p."""
        top_p = self.config.free_rivals.top_p
        if top_p == 1:
            return {}
        return {f"{SFT}@top-p": self._tables(self._sampled(self.test, self.config.sampling, top_p=top_p))}

    def by_reward(self, kind: str, pipeline: RewardPipeline) -> dict[str, Tables]:
        """What the rewards of `kind` choose: a temperature, the best of n, demonstrations."""
        reward = AnswerReward(pipeline.sources, pipeline.mixture.config)
        rivals, tables = self.config.free_rivals, dict[str, Tables]()
        temperature, best, liked = _chosen_by(kind)
        if rivals.temperatures:
            chosen = self._temperature(reward)
            self.say(f"Temperature {chosen:g} is liked best on validation prompts ({kind})")
            sampling = self.config.sampling.model_copy(update={"temperature": chosen})
            tables[temperature] = self._tables(self._sampled(self.test, sampling))
        if rivals.best_of > 1:
            asked = self.drawn.of(self.test)
            rewards = reward(_samples(asked, self.drawn))
            places = best_places([item.record.id for item in asked], rewards, rivals.best_of)
            tables[best] = self._tables(self.drawn.taken(places))
        if rivals.liked_share:
            tables[liked] = self._liked(liked, reward)
        return tables

    def _temperature(self, reward: AnswerReward) -> float:
        config = self.config
        items = make_items(config.heldout_prompts, seed=self.seed, split="rl-heldout")
        means: Mapping[float, float] = {
            value: _mean(reward(_samples(answers.of(items), answers)))
            for value in config.free_rivals.temperatures
            for answers in [self._sampled(items, config.sampling.model_copy(update={"temperature": value}))]
        }
        return max(means, key=lambda value: means[value])

    def _liked(self, name: str, reward: AnswerReward) -> Tables:
        config = self.config
        demonstrations: list[DemonstrationRecord] = make_demonstrations(
            config.demonstrations, seed=self.seed, split="sft"
        )
        settings = sft_settings(config, self.seed)
        run = RunFolder(self.root / name / f"seed-{self.seed}")
        policy = train_on_liked(
            Policy.load(str(policy_checkpoint())), demonstrations, reward, share=config.free_rivals.liked_share,
            config=settings, run=run,
        )  # fmt: skip
        answers = answer_items(policy, None, self.test, sampling=config.sampling, seed=self.seed, greedy=True)
        return self._tables(answers)

    def _sampled(self, items: Sequence[SimItem], sampling: Sampling, *, top_p: float = 1.0) -> Answers:
        return answer_items(
            self.policy, None, items, sampling=sampling, seed=self.seed, samples=self.config.test_samples, top_p=top_p
        )

    def _tables(self, answers: Answers) -> Tables:
        return score_answers(self.test, answers, seed=self.seed)


def _samples(items: Sequence[SimItem], answers: Answers) -> list[Sample]:
    return [
        Sample(item.record.prompt, text, item.record.passages, truncated=cut)
        for item, text, cut in zip(items, answers.texts, answers.truncated, strict=True)
    ]


def _mean(rewards: Sequence[float | None]) -> float:
    known = [reward for reward in rewards if reward is not None]
    return sum(known) / len(known) if known else float("-inf")
