"""One seed of the study on the simulated world: SFT, feedback, reward models, and one PPO run per arm.

Every arm starts from the same SFT policy; feedback arms use annotations of the same answers and the same number of
PPO steps. What several seeds say together is in `results.py`; what the oracle measures, in `answers.py`.
"""

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from spanwise.core import RunFolder, derive_seed
from spanwise.evals.rivals import AnswerReward
from spanwise.evals.statistics import Example, RewardModelQuality, ScoreTable
from spanwise.feedback import FeedbackRecord, Sample
from spanwise.models import Policy
from spanwise.quickstart.answers import (
    answer_items,
    collect_feedback,
    make_demonstrations,
    make_examples,
    score_answers,
)
from spanwise.quickstart.arm_rewards import ArmRewards, heads_of, train_rewards
from spanwise.quickstart.config import FINE_GRAINED, LABELS, SFT, SFT_MORE, SimStudyConfig
from spanwise.quickstart.free import SimRivals, greedily, kind_of
from spanwise.rl import Trainer, TrainerParts
from spanwise.rl.algorithms import PPO
from spanwise.rl.runtime import ProgressView
from spanwise.sim import SimItem, base_checkpoint, make_items
from spanwise.training import train_sft

TEST_SEED = 0
"""All training seeds are tested on the same prompts, so that intervals over both can be had."""
STATISTICS_PROMPTS = 64
"""Annotated prompts whose answers give the mean and deviation of each reward."""
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
        self._test = make_items(
            config.test_prompts, seed=TEST_SEED, split=config.judged_split, questions=config.questions
        )
        self._policies: dict[str, Policy] = {}
        self._reference_samples: list[Sample] = []
        self._rivals: SimRivals | None = None

    def run(self, watch: Watch) -> SeedOutcome:
        """All arms, baselines first."""
        reference = self._timed("sft", lambda: self._sft(SFT, self.config.demonstrations))
        self._measure(SFT, reference, reference)
        if SFT_MORE in self.config.arms:
            count = self.config.demonstrations + self.config.feedback_prompts
            more = self._timed("sft-more", lambda: self._sft(SFT_MORE, count))
            self._measure(SFT_MORE, more, reference)
        rewarded = [arm for arm in self.config.arms if arm not in (SFT, SFT_MORE)]
        feedback = self._timed("feedback", lambda: self._feedback(reference)) if rewarded else []
        models: dict[str, ArmRewards] = {}
        for arm in rewarded:
            kind = kind_of(arm)
            if kind not in models:
                models[kind] = self._timed(f"reward model, {kind}", lambda k=kind: self._reward_model(k, feedback))
                self._timed(f"free rivals, {kind}", lambda k=kind: self._rivals_by_reward(k, models[k]))
            policy = self._timed(arm, lambda a=arm, k=kind: self._ppo(a, models[k], reference, watch))
            self._measure(arm, policy, reference)
        self._timed("examples", lambda: self._examples(models.get(FINE_GRAINED)))
        return self.outcome

    def _sft(self, arm: str, count: int) -> Policy:
        self.say(f"Fine-tuning on {count} imperfect demonstrations")
        run = RunFolder(self._folder(arm))
        questions = self.config.questions
        heldout = make_demonstrations(
            self.config.heldout_demonstrations, seed=self.seed, split="sft-heldout", questions=questions
        )
        demonstrations = make_demonstrations(count, seed=self.seed, split="sft", questions=questions)
        settings = self.config.sft.model_copy(update={"seed": derive_seed(self.seed, "sim/sft")})
        tuned = train_sft(Policy.load(str(base_checkpoint())), demonstrations, heldout, config=settings, run=run)
        return Policy.load(str(tuned.checkpoint))

    def _feedback(self, policy: Policy) -> list[FeedbackRecord]:
        config = self.config
        self.say(f"Annotating {config.samples_per_prompt} answers to each of {config.feedback_prompts} prompts")
        items = self._items(config.feedback_prompts, "feedback")
        feedback = collect_feedback(
            policy, items, samples=config.samples_per_prompt, sampling=config.sampling, noise=config.noise,
            seed=self.seed,
        )  # fmt: skip
        self._reference_samples = [
            Sample.of(record, response.text)
            for record in feedback[:STATISTICS_PROMPTS]
            for response in record.responses
            if response.text
        ]
        return feedback

    def _reward_model(self, kind: str, feedback: Sequence[FeedbackRecord]) -> ArmRewards:
        self.say(f"Training the reward model: {', '.join(heads_of(kind))}")
        folder = RunFolder(self.root / "reward_models" / f"{kind}-seed-{self.seed}")
        rewards = train_rewards(
            kind, feedback, self.config, reference=self._reference_samples, seed=self.seed, folder=folder
        )
        self.outcome.reward_models |= rewards.quality
        return rewards

    def _ppo(self, arm: str, rewards: ArmRewards, reference: Policy, watch: Watch) -> Policy:
        self.say(f"PPO, {LABELS[arm]}")
        trainer = self.config.trainer.model_copy(
            update={"seed": derive_seed(self.seed, "sim/rl"), "sampling": self.config.sampling}
        )
        parts = TrainerParts(
            policy=Policy(copy.deepcopy(reference.model), reference.tokenizer),
            pipeline=rewards.pipeline(arm),
            prompts=[item.record for item in self._items(self.config.rl_prompts, "rl")],
            heldout=[item.record for item in self._items(self.config.heldout_prompts, "rl-heldout")],
            algorithm=PPO(trainer.ppo),
        )
        folder = RunFolder(self._folder(arm))
        with watch(LABELS[arm], trainer.steps) as view:
            Trainer(trainer, parts, folder, progress=view).run()
        return Policy.load(str(folder.checkpoint("best")))

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
            pipeline = rewards.pipeline(kind)
            reward = AnswerReward(pipeline.sources, pipeline.mixture.config)
            self.outcome.tables |= self._rivals.by_reward(kind, reward)

    def _examples(self, rewards: ArmRewards | None) -> None:
        """The arms' answers to the first test prompts, with the token rewards of the fine-grained arm."""
        if rewards is not None:
            pipeline = rewards.pipeline(FINE_GRAINED)
            self.outcome.examples += make_examples(
                self._policies, self._test[:EXAMPLES], pipeline, sampling=self.config.sampling, seed=self.seed
            )

    def _items(self, count: int, split: str) -> list[SimItem]:
        return make_items(count, seed=self.seed, split=split, questions=self.config.questions)

    def _folder(self, arm: str) -> Path:
        return self.root / arm / f"seed-{self.seed}"

    def _timed(self, phase: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self.outcome.seconds[phase] = round(time.perf_counter() - start, 1)
        return result
