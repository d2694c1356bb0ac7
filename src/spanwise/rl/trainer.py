"""The training loop: rollout, experience, advantages, updates, evaluation, checkpoints. Blind to the algorithm.

All randomness of step n follows from the seed and n. The loop knows nothing of tensors' contents; formulas are in the
files that it calls.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.errors import ConfigError, DataError
from spanwise.feedback.prompts import PromptRecord
from spanwise.models.heads import ValueModel
from spanwise.models.policy import Policy
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rl.config import TrainerConfig
from spanwise.rl.evaluation import Evaluator
from spanwise.rl.experience import ExperienceMaker
from spanwise.rl.kl import KLController
from spanwise.rl.metrics import RESERVED_NAMES, experience_metrics, response_metrics, reward_metrics, value_metrics
from spanwise.rl.progress import NoProgress, ProgressView
from spanwise.rl.prompt_order import prompts_of_step
from spanwise.rl.rollout import RolloutMaker
from spanwise.rl.timing import Clock
from spanwise.rl.types import Algorithm, Rollout, TrainingBatch
from spanwise.rl.updates import Updater
from spanwise.seeding import torch_generator
from spanwise.tracking import RunFolder


@dataclass(frozen=True)
class TrainerParts:
    """What a run is made of. The policy is trained in place; a frozen copy of it is the reference."""

    policy: Policy
    pipeline: RewardPipeline
    prompts: Sequence[PromptRecord]
    heldout: Sequence[PromptRecord]
    algorithm: Algorithm


@dataclass(frozen=True)
class TrainingResult:
    """Held-out mean reward before, at its best and at the end. Best and last policies are checkpoints of the run."""

    first_reward: float
    best_reward: float
    best_step: int
    last_reward: float


class Trainer:
    """Runs `config.steps` steps and leaves metrics, samples and the checkpoints "best" and "last" in `folder`.

    Raises ConfigError or DataError on construction when parts and config do not fit each other.
    """

    def __init__(
        self, config: TrainerConfig, parts: TrainerParts, folder: RunFolder, *, progress: ProgressView | None = None
    ) -> None:
        check_parts(config, parts)
        self.config = config
        self.parts = parts
        self.folder = folder
        self.progress = progress or NoProgress()
        self.kl = KLController(config.kl.coef, config.kl.target, config.kl.horizon)
        self.reference = Policy(copy.deepcopy(parts.policy.model), parts.policy.tokenizer)
        self.reference.model.requires_grad_(False)
        self.value_model = ValueModel.from_policy(parts.policy, torch_generator(config.seed, "value head"))
        self.updater = Updater(parts.policy, self.value_model, parts.algorithm, config)
        self._clock = Clock()
        self._rollouts = RolloutMaker(
            parts.policy,
            parts.pipeline,
            max_prompt_tokens=config.rollout.max_prompt_tokens,
            retokenized_placement=config.compat.retokenized_placement,
            clock=self._clock,
        )
        self.make_experience = ExperienceMaker(
            self.reference,
            self.value_model,
            sampling=config.sampling,
            kl=config.kl,
            rows_per_pass=config.update.micro_batch_size,
        )
        self._evaluate = Evaluator(self._rollouts, self.reference, parts.heldout, config)

    def run(self) -> TrainingResult:
        """The whole run: steps are numbered from 1, and 0 is the policy as it came."""
        self.folder.save_config(self.config)
        metrics = self._evaluated(0)
        self.folder.log_metrics(0, metrics)
        first = best = last = metrics["eval/reward/total"]
        best_step = 0
        self.parts.policy.save(self.folder.checkpoint("best"))
        for step in range(1, self.config.steps + 1):
            metrics = self.step(step)
            self.progress.stepped(step, metrics)
            if step % self.config.evaluation.every == 0 or step == self.config.steps:
                metrics |= self._evaluated(step)
                last = metrics["eval/reward/total"]
                if last > best or math.isnan(best):
                    best, best_step = last, step
                    self.parts.policy.save(self.folder.checkpoint("best"))
            self.folder.log_metrics(step, metrics)
        self.parts.policy.save(self.folder.checkpoint("last"))
        return TrainingResult(first, best, best_step, last)

    def step(self, step: int) -> dict[str, float]:
        """One rollout and its updates; `step` counts from 1."""
        start = time.perf_counter()
        metrics = self.learn(self.rollout(step), step)
        return metrics | self._clock.take() | {"time/step_s": time.perf_counter() - start}

    def rollout(self, step: int) -> Rollout:
        """The scored responses of step `step`."""
        prompts = prompts_of_step(
            self.parts.prompts, step=step - 1, count=self.config.rollout.prompts_per_step, seed=self.config.seed
        )
        return self._rollouts.sample(
            prompts,
            sampling=self.config.sampling,
            samples_per_prompt=self.config.rollout.samples_per_prompt,
            generator=torch_generator(self.config.seed, f"rollout/{step}", self.parts.policy.device),
            step=step - 1,
        )

    def learn(self, rollout: Rollout, step: int) -> dict[str, float]:
        """Updates policy and value model on a rollout; returns what was measured on the way."""
        metrics = reward_metrics(rollout) | response_metrics(rollout)
        if bool(rollout.scores.dropped.all()):
            return metrics
        with self._clock("reference"):
            experience = self.make_experience(rollout, kl_coef=self.kl.coef)
        metrics |= experience_metrics(experience, kl_coef=self.kl.coef)
        batch = TrainingBatch.of(experience, self.parts.algorithm.advantages(experience))
        metrics |= value_metrics(batch)
        with self._clock("update"):
            shuffle = torch_generator(self.config.seed, f"minibatches/{step}")
            metrics |= self.updater.run(batch, step=step - 1, generator=shuffle)
        self.kl.update(metrics["kl/response"], len(batch))
        return metrics

    def _evaluated(self, step: int) -> dict[str, float]:
        start = time.perf_counter()
        metrics, rows = self._evaluate(step)
        self._clock.take()
        for row in rows:
            self.folder.log_sample(step, row)
        self.progress.evaluated(step, metrics)
        return metrics | {"time/evaluation_s": time.perf_counter() - start}


def check_parts(config: TrainerConfig, parts: TrainerParts) -> None:
    """Raises ConfigError or DataError for what would stop the run later: names, empty sets, prompts that do not fit."""
    for source in parts.pipeline.mixture.names:
        if source in RESERVED_NAMES:
            raise ConfigError(f"A reward source is named {source!r}, which the log uses itself; give it another name.")
    room = _room(config, parts.policy)
    for label, records in (("prompts", parts.prompts), ("heldout_prompts", parts.heldout)):
        if not records:
            raise DataError(f"{label}: no prompts; give at least one.")
        for number, record in enumerate(records):
            length = int(parts.policy.encode_prompts([record.model_input]).lengths[0])
            if length > room:
                raise DataError(
                    f"{label}, record {number + 1} (id {record.id!r}): {length} tokens, there is room for {room}; "
                    "shorten it, raise rollout.max_prompt_tokens or lower sampling.max_new_tokens."
                )


def _room(config: TrainerConfig, policy: Policy) -> int:
    """Tokens that a prompt may have."""
    if policy.window is None or policy.is_encoder_decoder:
        return config.rollout.max_prompt_tokens
    left = policy.window - config.sampling.max_new_tokens
    if left < 1:
        raise ConfigError(
            f"sampling.max_new_tokens={config.sampling.max_new_tokens} leaves no room for a prompt in the policy's "
            f"window of {policy.window} tokens; lower it."
        )
    return min(config.rollout.max_prompt_tokens, left)
