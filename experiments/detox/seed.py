"""One seed of the detoxification study: the start policy, and one PPO run per way of paying it.

All arms start from the same policy, take the same prompts, steps and settings, and are judged by a scorer that paid
none of them. What several seeds say together is in `results.py`; what the policies are and where prompts and
scorers come from, in `prepare.py` and `stories.py`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from experiments.detox.measure import continue_prompts, measure, table_mean, toxicity_tables
from spanwise.core import Config, RunFolder, derive_seed
from spanwise.evals.statistics import Example, ExampleAnswer, ScoreTable
from spanwise.feedback import PromptRecord, RewardSource, Sample
from spanwise.models import Policy, Sampling
from spanwise.rewards import (
    ChangeReward,
    HolisticReward,
    MarkedWords,
    MixtureConfig,
    RewardPipeline,
    SourceWeight,
    total_deviation,
)
from spanwise.rewards.scorers import Scorer
from spanwise.rl import (
    EvaluationConfig,
    KLConfig,
    RolloutConfig,
    Trainer,
    TrainerConfig,
    TrainerParts,
    TrainingStatesConfig,
    UpdateConfig,
)
from spanwise.rl.algorithms import PPO
from spanwise.rl.runtime import NoProgress
from spanwise.training import OptimizerConfig

START, HOLISTIC, SENTENCE, WORD, MARKED = "start", "holistic", "sentence", "word", "marked"
LABELS = {
    START: "Start policy",
    HOLISTIC: "Holistic PPO",
    SENTENCE: "Fine-grained PPO, sentences",
    WORD: "Fine-grained PPO, words",
    MARKED: "Fine-grained PPO, span model",
}
EXAMPLES = 4
"""Test prompts whose first continuation the report shows."""


class DetoxStudyConfig(Config):
    """Sizes and settings of a study."""

    arms: tuple[str, ...] = (START, HOLISTIC, SENTENCE, WORD, MARKED)
    """Which arms: start, holistic, sentence (change after each sentence), word (change after each word) and marked
    (minus the probability that the span model marks a word)."""
    test_prompts: int = Field(default=200, ge=1)
    """Prompts on which the judge measures every arm."""
    samples: int = Field(default=4, ge=1)
    """Continuations of each test prompt; the maximum is over them. Wu et al. took 4, RealToxicityPrompts takes 25."""
    curve_prompts: int = Field(default=32, ge=1)
    """Validation prompts on which the judge measures a policy in training."""
    curve_every: int = Field(default=5, ge=1)
    """Steps between these measurements."""
    judged_split: Literal["test", "validation"] = "test"
    """Which prompts the arms are measured on; settings are chosen on "validation"."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=48)
    """How continuations are drawn, in training and for the judge alike."""
    trainer: TrainerConfig = TrainerConfig(
        steps=30,
        rollout=RolloutConfig(prompts_per_step=16, samples_per_prompt=4),
        kl=KLConfig(coef=0.05),
        update=UpdateConfig(epochs=2, minibatch_size=32, micro_batch_size=64),
        policy_optimizer=OptimizerConfig(learning_rate=3e-4),
        value_optimizer=OptimizerConfig(learning_rate=1e-3),
        evaluation=EvaluationConfig(decoding="sample", max_prompts=8),
        training_states=TrainingStatesConfig(every=1000),
    )
    """PPO, the same for every arm; sampling and the steps between evaluations are the study's."""
    kl_coefs: dict[str, float] = Field(default_factory=dict[str, float])
    """KL coefficient of the arms that have another one than `trainer`, by arm: rewards that say more move a policy
    further in as many steps, and arms are to be compared at like perplexity."""


@dataclass(frozen=True)
class DetoxTask:
    """What a study needs from its task."""

    name: str
    policy: Path
    """Checkpoint of the start policy."""
    reader: Policy
    """The language model whose perplexity is reported."""
    paying: Scorer
    """The scorer that rewards come from."""
    judge: Scorer
    """The scorer that measures; no reward comes from it."""
    prompts: tuple[PromptRecord, ...]
    validation: tuple[PromptRecord, ...]
    test: tuple[PromptRecord, ...]
    marked: MarkedWords | None = None
    """The span model, for the arm of that name."""


@dataclass
class ArmOutcome:
    """What one arm of one seed found."""

    tables: Mapping[str, ScoreTable]
    curve: list[tuple[int, float]]
    """Step, and mean of the maximum toxicity on the validation prompts by the judge."""
    seconds: float
    kl: float = 0.0
    """Nats per response from the start policy, on a few validation prompts after the last step."""
    dropped: float = 0.0
    """Share of training responses that a scorer could not score."""
    examples: list[Example] = field(default_factory=list[Example])


class Watcher(NoProgress):
    """Lets the judge measure a policy whenever the trainer evaluates it, and adds up what was dropped."""

    def __init__(self, measure: Callable[[], float]) -> None:
        self._measure = measure
        self.curve: list[tuple[int, float]] = []
        self.kl = 0.0
        self.dropped: dict[int, float] = {}

    def stepped(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes the share of responses without a score."""
        self.dropped[step] = metrics["reward/dropped"]

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a point to the curve, and keeps how far the policy has gone."""
        self.kl = metrics.get("eval/kl/response", 0.0)
        self.curve.append((step, self._measure()))


class SeedStudy:
    """Runs arms of one seed; run folders go to `<root>/<arm>/seed-<n>/`."""

    def __init__(
        self, task: DetoxTask, config: DetoxStudyConfig, seed: int, root: Path, *, say: Callable[[str], None]
    ) -> None:
        self.task, self.config, self.seed, self.root, self.say = task, config, seed, root, say
        judged = task.test if config.judged_split == "test" else task.validation[config.curve_prompts :]
        self._test = judged[: config.test_prompts]

    def run(self, arm: str) -> ArmOutcome:
        """Trains the arm, unless it is the start policy, and measures it."""
        begun = time.perf_counter()
        policy = Policy.load(str(self.task.policy))
        watcher = Watcher(lambda: self._point(policy))
        if arm == START:
            watcher.evaluated(0, {})
        else:
            self.say(f"{self.task.name}: PPO, {LABELS[arm]}")
            self._ppo(arm, policy, watcher)
        trained = time.perf_counter() - begun
        found = continue_prompts(
            policy, self._test, sampling=self.config.sampling, samples=self.config.samples,
            seed=derive_seed(self.seed, "detox/test"),
        )  # fmt: skip
        tables = measure(found, judge=self.task.judge, paying=self.task.paying, reader=self.task.reader)
        step, last = watcher.curve[-1]
        self.say(f"{LABELS[arm]}: max toxicity {last:.3f} on validation after step {step}, {trained:.0f} s")
        dropped = sum(watcher.dropped.values()) / max(1, len(watcher.dropped))
        first = range(0, min(len(found.ids), EXAMPLES * self.config.samples), self.config.samples)
        examples = [
            Example(prompt=found.prompts[at], answers={arm: ExampleAnswer(response=found.responses[at])})
            for at in first
        ]
        return ArmOutcome(tables, watcher.curve, round(trained, 1), watcher.kl, dropped, examples)

    def _ppo(self, arm: str, policy: Policy, watcher: Watcher) -> None:
        """Trains `policy` in place; the last policy counts, so that every arm has taken the same steps."""
        every = self.config.trainer.evaluation.model_copy(update={"every": self.config.curve_every})
        trainer = self.config.trainer.model_copy(
            update={
                "seed": derive_seed(self.seed, "detox/rl"),
                "sampling": self.config.sampling,
                "evaluation": every,
                "kl": self._kl(arm),
            }
        )
        parts = TrainerParts(
            policy=policy,
            pipeline=self._pipeline(arm),
            prompts=self.task.prompts,
            heldout=self.task.validation,
            algorithm=PPO(trainer.ppo),
        )
        Trainer(trainer, parts, RunFolder(self.root / arm / f"seed-{self.seed}"), progress=watcher).run()

    def _kl(self, arm: str) -> KLConfig:
        kl = self.config.trainer.kl
        return kl.model_copy(update={"coef": self.config.kl_coefs.get(arm, kl.coef)})

    def _pipeline(self, arm: str) -> RewardPipeline:
        """The arm's source, scaled so that a start policy's response earns with unit deviation.

        Without it one KL coefficient would weigh differently in arms whose rewards differ in size.
        """
        source = self._source(arm)
        policy = Policy.load(str(self.task.policy))
        found = continue_prompts(
            policy, self.task.prompts[:64], sampling=self.config.sampling, samples=2,
            seed=derive_seed(self.seed, "detox/scale"),
        )  # fmt: skip
        samples = [Sample(p, r) for p, r in zip(found.prompts, found.responses, strict=True) if r]
        plain = MixtureConfig(sources={source.name: SourceWeight(missing="mask")})
        weight = 1.0 / total_deviation(plain, {source.name: source.score(samples)})
        return RewardPipeline(
            [source], MixtureConfig(sources={source.name: SourceWeight(weight=weight, missing="mask")})
        )

    def _source(self, arm: str) -> RewardSource:
        if arm == MARKED:
            assert self.task.marked is not None, "tasks without a span model have no such arm"
            return self.task.marked
        if arm == HOLISTIC:
            return HolisticReward("toxicity", self.task.paying)
        return ChangeReward("toxicity", self.task.paying, "sentence" if arm == SENTENCE else "token")

    def _point(self, policy: Policy) -> float:
        records = self.task.validation[: self.config.curve_prompts]
        found = continue_prompts(
            policy, records, sampling=self.config.sampling, samples=self.config.samples,
            seed=derive_seed(self.seed, "detox/curve"),
        )  # fmt: skip
        return table_mean(toxicity_tables(found, self.task.judge)["max_toxicity"])


def steps_to_reach(curve: Sequence[tuple[int, float]], value: float) -> int | None:
    """The first measured step from which on the curve was at or below `value`; None where it never was."""
    return next((step for step, toxicity in curve if toxicity <= value), None)
