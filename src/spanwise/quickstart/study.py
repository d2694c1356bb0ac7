"""One seed of the study on the simulated world: feedback, reward models, and one PPO run per arm.

Every arm starts from the packaged SFT policy; feedback arms have the same minutes of annotation and the same number of
PPO steps. What several seeds say together is in `results.py`; what the oracle measures, in `answers.py`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from spanwise.core import RunFolder
from spanwise.evals.statistics import Example, RewardModelQuality, ScoreTable
from spanwise.feedback import FeedbackRecord, Sample
from spanwise.models import Policy
from spanwise.quickstart.answers import (
    answer_items,
    collect_feedback,
    make_examples,
    score_answers,
)
from spanwise.quickstart.arm_rewards import ArmRewards, heads_of, train_rewards
from spanwise.quickstart.config import (
    CEILINGS,
    FINE_GRAINED,
    LABELS,
    PREFERENCE,
    SFT,
    SFT_MORE,
    SimStudyConfig,
)
from spanwise.quickstart.free import SimRivals, greedily, kind_of
from spanwise.quickstart.training import oracle_pipeline, train_arm, train_more
from spanwise.rewards import RewardPipeline
from spanwise.rl.runtime import ProgressView
from spanwise.sim import SimItem, make_items, policy_checkpoint

TEST_SEED = 0
"""All training seeds are tested on the same prompts, so that intervals over both can be had."""
STATISTICS_ANSWERS = 256
"""Annotated answers that give the mean and deviation of each reward."""
EXAMPLES = 6
"""Test prompts whose answers the report shows."""

T = TypeVar("T")


@dataclass
class SeedOutcome:
    """What one seed found: score tables by arm and metric, held-out reward-model metrics by head, examples, seconds."""

    tables: dict[str, dict[str, ScoreTable]] = field(default_factory=dict[str, dict[str, ScoreTable]])
    reward_models: dict[str, RewardModelQuality] = field(default_factory=dict[str, RewardModelQuality])
    examples: list[Example] = field(default_factory=list[Example])
    seconds: dict[str, float] = field(default_factory=dict[str, float])


Watch = Callable[[str, int], AbstractContextManager[ProgressView]]
"""Given an arm's label and its number of steps, what to show while it trains."""


class SeedStudy:
    """Runs the arms of one seed; run folders go to `<root>/<arm>/seed-<n>/`."""

    def __init__(self, config: SimStudyConfig, seed: int, root: Path, *, say: Callable[[str], None]) -> None:
        self.config = config
        self.seed = seed
        self.root = root
        self.say = say
        self.outcome = SeedOutcome()
        self._test = make_items(config.test_prompts, seed=TEST_SEED, split=config.judged_split, wording="held-out")
        self._policies: dict[str, Policy] = {}
        self._rewards: dict[str, ArmRewards] = {}
        self._rivals: SimRivals | None = None

    def run(self, watch: Watch) -> SeedOutcome:
        """All arms, baselines first."""
        reference = Policy.load(str(policy_checkpoint()))
        self._measure(SFT, reference, reference)
        if SFT_MORE in self.config.arms:
            self.say(f"Fine-tuning on {self.config.demonstrations} more demonstrations")
            folder = self._folder(SFT_MORE)
            more = self._timed(SFT_MORE, lambda: train_more(self.config, self.seed, folder))
            self._measure(SFT_MORE, more, reference)
        for arm in (arm for arm in self.config.arms if arm not in (SFT, SFT_MORE)):
            pipeline = self._pipeline(arm, reference)
            policy = self._timed(arm, lambda a=arm, p=pipeline: self._train(a, p, reference, watch))
            self._measure(arm, policy, reference)
        self._timed("examples", lambda: self._examples(self._rewards.get(FINE_GRAINED)))
        return self.outcome

    def _pipeline(self, arm: str, reference: Policy) -> RewardPipeline:
        """What the arm's answers are paid."""
        if arm in CEILINGS:
            return oracle_pipeline(arm, self.config, self.seed)
        kind = kind_of(arm)
        if kind not in self._rewards:
            feedback = self._timed(f"feedback, {kind}", lambda: self._feedback(kind, reference))
            self._rewards[kind] = self._timed(f"reward model, {kind}", lambda: self._reward_model(kind, feedback))
            self._timed(f"free rivals, {kind}", lambda: self._rivals_by_reward(kind, self._rewards[kind]))
        return self._rewards[kind].pipeline(arm)

    def _feedback(self, kind: str, policy: Policy) -> list[FeedbackRecord]:
        """What the budget of minutes buys for the reward model of `kind`."""
        config, budget = self.config, self.config.annotation
        prompts, answers = budget.prompts(kind), budget.answers(kind)
        verb = "Comparing" if kind == PREFERENCE else "Marking"
        self.say(f"{verb} {answers} answers to each of {prompts} prompts ({budget.minutes:g} minutes)")
        return collect_feedback(
            policy, self._items(prompts, "feedback"), samples=answers, sampling=config.sampling, noise=config.noise,
            seed=self.seed,
        )  # fmt: skip

    def _reward_model(self, kind: str, feedback: Sequence[FeedbackRecord]) -> ArmRewards:
        self.say(f"Training the reward model: {', '.join(heads_of(kind))}")
        folder = RunFolder(self.root / "reward_models" / f"{kind}-seed-{self.seed}")
        samples = [
            Sample.of(record, response.text) for record in feedback for response in record.responses if response.text
        ]
        rewards = train_rewards(
            kind, feedback, self.config, reference=samples[:STATISTICS_ANSWERS], seed=self.seed, folder=folder
        )
        self.outcome.reward_models |= rewards.quality
        return rewards

    def _train(self, arm: str, pipeline: RewardPipeline, reference: Policy, watch: Watch) -> Policy:
        self.say(f"PPO, {LABELS[arm]}")
        view = watch(LABELS[arm], self.config.trainer.steps)
        return train_arm(self.config, self.seed, reference, pipeline, folder=self._folder(arm), watch=view)

    def _measure(self, arm: str, policy: Policy, reference: Policy) -> None:
        """Both decodings; those of the SFT policy with its free rivals."""
        sampling, seed = self.config.sampling, self.seed
        greedy = answer_items(policy, None, self._test, sampling=sampling, seed=seed, greedy=True)
        drawn = answer_items(
            policy, reference, self._test, sampling=sampling, seed=seed, samples=self.config.test_samples
        )
        self.outcome.tables[greedily(arm)] = score_answers(self._test, greedy, seed=seed)
        self.outcome.tables[arm] = score_answers(self._test, drawn, seed=seed)
        self._policies[arm] = policy
        if arm == SFT:
            self._rivals = SimRivals(self.config, seed, policy, self._test, drawn, self.root, self.say)
            self.outcome.tables |= self._rivals.without_reward()

    def _rivals_by_reward(self, kind: str, rewards: ArmRewards) -> None:
        if self._rivals is not None:
            self.outcome.tables |= self._rivals.by_reward(kind, rewards.pipeline(kind))

    def _examples(self, rewards: ArmRewards | None) -> None:
        """The arms' answers to the first test prompts, with the token rewards of the fine-grained arm."""
        if rewards is not None:
            pipeline = rewards.pipeline(FINE_GRAINED)
            self.outcome.examples += make_examples(
                self._policies, self._test[:EXAMPLES], pipeline, sampling=self.config.sampling, seed=self.seed
            )

    def _items(self, count: int, split: str) -> list[SimItem]:
        return make_items(count, seed=self.seed, split=split)

    def _folder(self, arm: str) -> Path:
        return self.root / arm / f"seed-{self.seed}"

    def _timed(self, phase: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self.outcome.seconds[phase] = round(time.perf_counter() - start, 1)
        return result
