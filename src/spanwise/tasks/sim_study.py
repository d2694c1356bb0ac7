"""One seed of the study on the simulated world: SFT, feedback, reward models, and one PPO run per arm.

Every arm starts from the same SFT policy; feedback arms use annotations of the same answers and the same number of
PPO steps. What several seeds say together is in `sim_results.py`; what the oracle measures, in `sim.py`.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from spanwise.config import Config
from spanwise.evals.results import Example, ReliabilityBin, RewardModelQuality
from spanwise.evals.score_table import ScoreTable
from spanwise.feedback.schema import FeedbackRecord
from spanwise.models.policy import Policy
from spanwise.models.sampling import Sampling
from spanwise.reward_models.checkpoint import load_backbone
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.evaluate import HeadQuality
from spanwise.reward_models.labels import FactualityRule, RelevanceRule
from spanwise.reward_models.train import RewardModelRun, train_reward_model
from spanwise.rewards.learned import LearnedRewards
from spanwise.rewards.mixture import MixtureConfig, SourceWeight, segment_statistics, total_deviation
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rl.algorithms.ppo import PPO
from spanwise.rl.config import (
    EvaluationConfig,
    KLConfig,
    OptimizerConfig,
    RolloutConfig,
    TrainerConfig,
    UpdateConfig,
)
from spanwise.rl.progress import ProgressView
from spanwise.rl.trainer import Trainer, TrainerParts
from spanwise.scores import Sample
from spanwise.seeding import derive_seed
from spanwise.sft import SFTConfig, train_sft
from spanwise.sim.annotator import NoiseConfig
from spanwise.sim.model import base_checkpoint
from spanwise.sim.world import Questions, SimItem, make_items
from spanwise.tasks.sim import answer_items, collect_feedback, make_demonstrations, score_answers
from spanwise.tasks.sim_examples import make_examples
from spanwise.tracking import RunFolder

SFT, SFT_MORE, PREFERENCE, FINE_GRAINED = "sft", "sft-more", "preference", "fine-grained"
ABLATIONS = {
    "without-relevance": "relevance",
    "without-factuality": "factuality",
    "without-completeness": "completeness",
}
"""Arms that leave out one reward of the fine-grained arm."""
LABELS = {
    SFT: "SFT",
    SFT_MORE: "SFT, more demonstrations",
    PREFERENCE: "Preference RLHF",
    FINE_GRAINED: "Fine-grained RLHF",
    "without-relevance": "without relevance",
    "without-factuality": "without factuality",
    "without-completeness": "without completeness",
}
FINE_GRAINED_HEADS = ("relevance", "factuality", "completeness")
TEST_SEED = 0
"""All training seeds are tested on the same prompts, so that intervals over both can be had."""
STATISTICS_PROMPTS = 64
"""Annotated prompts whose answers give the mean and deviation of each reward."""
EXAMPLES = 6
"""Test prompts whose answers the report shows."""

T = TypeVar("T")


class SimStudyConfig(Config):
    """Sizes and settings of the study; the defaults are those of `spanwise quickstart`."""

    arms: tuple[str, ...] = (SFT, PREFERENCE, FINE_GRAINED)
    """Which arms to train: sft, sft-more, preference, fine-grained, without-relevance, without-factuality,
    without-completeness."""
    demonstrations: int = Field(default=800, ge=2)
    """Imperfect demonstrations that the SFT policy learns from."""
    heldout_demonstrations: int = Field(default=64, ge=1)
    """Demonstrations that choose the SFT checkpoint."""
    feedback_prompts: int = Field(default=600, ge=4)
    """Prompts whose sampled answers are annotated, for every feedback arm alike; also the number of further
    demonstrations of the arm sft-more."""
    responses_per_prompt: int = Field(default=4, ge=2)
    """Answers per annotated prompt."""
    rl_prompts: int = Field(default=1000, ge=1)
    """Prompts for PPO; nobody annotated them."""
    heldout_prompts: int = Field(default=64, ge=1)
    """Prompts that choose the best PPO checkpoint by the arm's own reward."""
    test_prompts: int = Field(default=400, ge=2)
    """Prompts on which the oracle judges every arm."""
    questions: Questions = "short"
    """How much each question asks for: short, one to three facts, or long, three to five."""
    judged_split: Literal["test", "validation"] = "test"
    """Which prompts these are; settings are chosen on those of "validation"."""
    noise: NoiseConfig = NoiseConfig()
    """How unreliable the annotator is."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=80)
    """How answers are sampled, for feedback, PPO and the test alike."""
    sft: SFTConfig = SFTConfig(epochs=2, learning_rate=5e-4)
    """Supervised fine-tuning."""
    fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.001, 0.01, 0.1, 1.0), state_scales=(0.0, 0.1, 0.3)
    )
    """Training of the reward models."""
    likelihoods: bool = True
    """Whether the reward models also read how likely their backbone finds the tokens."""
    weights: dict[str, float] = Field(
        default_factory=lambda: {"relevance": 1.5, "factuality": 2.0, "completeness": 0.1, "preference": 1.0}
    )
    """Weight of each reward beside the others, whose scores are standardised over the SFT policy's answers."""
    averaged: tuple[str, ...] = ("factuality",)
    """Rewards that are divided by the number of their segments: the factuality model never saw labels of irrelevant
    sentences, so that, summed and without a gate, it pays for each true thing that nobody asked."""
    bars: dict[str, float] = Field(default_factory=dict[str, float])
    """How many deviations above the mean of the SFT policy's answers a score must be to pay; 0 where not named. With a
    bar, one more clause that is no better than the usual ones costs something."""
    gates: dict[str, str] = Field(default_factory=dict[str, str])
    """Which reward counts only as far as another finds its text right; see `SourceWeight.gate`."""
    trainer: TrainerConfig = TrainerConfig(
        steps=16,
        rollout=RolloutConfig(prompts_per_step=16, samples_per_prompt=4),
        kl=KLConfig(coef=0.2),
        update=UpdateConfig(epochs=2, minibatch_size=32, micro_batch_size=32),
        policy_optimizer=OptimizerConfig(learning_rate=3e-4),
        value_optimizer=OptimizerConfig(learning_rate=1e-3),
        evaluation=EvaluationConfig(every=5, decoding="sample"),
    )
    """PPO; its sampling is replaced by the study's."""


SHORT_STUDY = SimStudyConfig(arms=(SFT, SFT_MORE, PREFERENCE, FINE_GRAINED, *ABLATIONS))
"""The study of docs/results.md: every arm, with the settings of quickstart."""
LONG_STUDY = SHORT_STUDY.model_copy(
    update={
        "questions": "long",
        "feedback_prompts": 400,
        "sampling": Sampling(temperature=1.0, max_new_tokens=128),
        "weights": {"relevance": 2.0, "factuality": 5.0, "completeness": 2.5, "preference": 1.0},
        "averaged": (),
        "bars": {"relevance": 0.7, "factuality": 0.5},
        "gates": {"factuality": "relevance"},
        "trainer": SHORT_STUDY.trainer.model_copy(
            update={
                "steps": 24,
                "rollout": RolloutConfig(prompts_per_step=32, samples_per_prompt=4),
                "kl": KLConfig(coef=0.1),
                "update": UpdateConfig(epochs=1, minibatch_size=16, micro_batch_size=32),
                "value_optimizer": OptimizerConfig(learning_rate=3e-3),
            }
        ),
    }
)
"""The same on long questions, where answers have several clauses; two to three times the work. See docs/log.md."""
STUDIES = {"short": SHORT_STUDY, "long": LONG_STUDY}


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

    def run(self, watch: Watch) -> SeedOutcome:
        """All arms, baselines first."""
        reference = self._timed("sft", lambda: self._sft(SFT, self.config.demonstrations))
        self._measure(SFT, reference, reference)
        if SFT_MORE in self.config.arms:
            count = self.config.demonstrations + self.config.feedback_prompts
            more = self._timed("sft-more", lambda: self._sft(SFT_MORE, count))
            self._measure(SFT_MORE, more, reference)
        feedback = self._timed("feedback", lambda: self._feedback(reference))
        models: dict[str, LearnedRewards] = {}
        for arm in self.config.arms:
            if arm in (SFT, SFT_MORE):
                continue
            kind = PREFERENCE if arm == PREFERENCE else FINE_GRAINED
            if kind not in models:
                models[kind] = self._timed(f"reward model, {kind}", lambda k=kind: self._reward_model(k, feedback))
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
        found = train_sft(Policy.load(str(base_checkpoint())), demonstrations, heldout, config=settings, run=run)
        return Policy.load(str(found.checkpoint))

    def _feedback(self, policy: Policy) -> list[FeedbackRecord]:
        config = self.config
        self.say(f"Annotating {config.responses_per_prompt} answers to each of {config.feedback_prompts} prompts")
        items = self._items(config.feedback_prompts, "feedback")
        feedback = collect_feedback(
            policy, items, samples=config.responses_per_prompt, sampling=config.sampling, noise=config.noise,
            seed=self.seed,
        )  # fmt: skip
        self._reference_samples = [
            Sample(record.prompt, response.text, record.passages)
            for record in feedback[:STATISTICS_PROMPTS]
            for response in record.responses
            if response.text
        ]
        return feedback

    def _reward_model(self, kind: str, feedback: Sequence[FeedbackRecord]) -> LearnedRewards:
        heads = (PREFERENCE,) if kind == PREFERENCE else FINE_GRAINED_HEADS
        self.say(f"Training the reward model: {', '.join(heads)}")
        settings = RewardModelConfig(
            heads=heads,
            relevance=RelevanceRule(min_span_words=3, min_coverage=0.5),  # a jittered mark may touch a neighbour
            factuality=FactualityRule(density="sub-sentence"),  # a clause of this world states one fact
            fitting=self.config.fitting,
            likelihoods=self.config.likelihoods,
            seed=derive_seed(self.seed, f"sim/reward/{kind}"),
            device="cpu",
        )
        folder = RunFolder(self.root / "reward_models" / f"{kind}-seed-{self.seed}")
        found: RewardModelRun = train_reward_model(
            settings, feedback, backbone=load_backbone(str(base_checkpoint())), folder=folder
        )
        self.outcome.reward_models |= {name: _quality(name, head) for name, head in found.heads.items()}
        return LearnedRewards(found.model, found.tokenizer)

    def _ppo(self, arm: str, rewards: LearnedRewards, reference: Policy, watch: Watch) -> Policy:
        self.say(f"PPO, {LABELS[arm]}")
        trainer = self.config.trainer.model_copy(
            update={"seed": derive_seed(self.seed, "sim/rl"), "sampling": self.config.sampling}
        )
        parts = TrainerParts(
            policy=Policy(copy.deepcopy(reference.model), reference.tokenizer),
            pipeline=self._pipeline(arm, rewards),
            prompts=[item.record for item in self._items(self.config.rl_prompts, "rl")],
            heldout=[item.record for item in self._items(self.config.heldout_prompts, "rl-heldout")],
            algorithm=PPO(trainer.ppo, trainer.compat),
        )
        folder = RunFolder(self._folder(arm))
        with watch(LABELS[arm], trainer.steps) as view:
            Trainer(trainer, parts, folder, progress=view).run()
        return Policy.load(str(folder.checkpoint("best")))

    def _pipeline(self, arm: str, rewards: LearnedRewards) -> RewardPipeline:
        """The arm's sources, each standardised over the segments of the SFT policy's answers.

        Uncentred, every segment that is right more often than not pays, and answers grow (wu2023.md D4). The sum of all
        is scaled to unit deviation over those answers, so that the KL coefficient weighs the same in every arm; an
        ablation keeps the scale of the full mixture.
        """
        sources = rewards.sources()
        said = {source.name: source.score(self._reference_samples) for source in sources}
        rules: dict[str, SourceWeight] = {}
        for name, scores in said.items():
            mean, deviation = segment_statistics(scores)
            rules[name] = SourceWeight(
                weight=self.config.weights[name],
                center=mean + self.config.bars.get(name, 0.0) * deviation,
                scale=deviation,
                aggregate="mean" if name in self.config.averaged else "sum",
                gate=self._gate(arm, name),
                missing="mask",
            )
        deviation = total_deviation(MixtureConfig(sources=rules), said)
        weights = {name: 0.0 if ABLATIONS.get(arm) == name else rule.weight / deviation for name, rule in rules.items()}
        mixed = {name: rule.model_copy(update={"weight": weights[name]}) for name, rule in rules.items()}
        return RewardPipeline(sources, MixtureConfig(sources=mixed))

    def _gate(self, arm: str, name: str) -> str | None:
        """The gate of the reward `name`; an arm that leaves a reward out does not let it gate another, either."""
        gate = self.config.gates.get(name)
        return None if ABLATIONS.get(arm) == gate else gate

    def _measure(self, arm: str, policy: Policy, reference: Policy) -> None:
        answers = answer_items(policy, reference, self._test, sampling=self.config.sampling, seed=self.seed)
        self.outcome.tables[arm] = score_answers(self._test, answers, seed=self.seed)
        self._policies[arm] = policy

    def _examples(self, rewards: LearnedRewards | None) -> None:
        """The arms' answers to the first test prompts, with the token rewards of the fine-grained arm."""
        if rewards is not None:
            pipeline = self._pipeline(FINE_GRAINED, rewards)
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


def _quality(name: str, head: HeadQuality) -> RewardModelQuality:
    """The held-out figures of one head in the words of the report; what is not a number was not measured."""
    return RewardModelQuality(
        label=name.capitalize(),
        density=head.density,
        metrics={key: value if math.isfinite(value) else None for key, value in head.metrics.items()},
        reliability=tuple(ReliabilityBin.model_validate(bin_) for bin_ in head.reliability),
    )
