"""The training loop: rollout, experience, advantages, updates, evaluation, checkpoints. Blind to the algorithm.

All randomness of step n follows from the seed and n. The loop knows nothing of tensors' contents; formulas are in the
files that it calls.
"""

import contextlib
import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from spanwise.core import RunFolder, torch_generator
from spanwise.rl.alarms import Alarms
from spanwise.rl.algorithms import (
    Experience,
    KLController,
    LearnsValues,
    Rollout,
    TrainingBatch,
    correction_metrics,
)
from spanwise.rl.config import TrainerConfig
from spanwise.rl.evaluation import Evaluator
from spanwise.rl.experience import ExperienceMaker
from spanwise.rl.metrics import experience_metrics, response_metrics, reward_metrics, value_metrics
from spanwise.rl.parts import TrainerParts, check_parts, check_processes
from spanwise.rl.rollout import RolloutMaker, prompts_of_step
from spanwise.rl.runtime import (
    Budget,
    Clock,
    NoProgress,
    ProgressView,
    StateStore,
    TrainingState,
    check_same_settings,
    check_same_start,
    fingerprints,
    holds_run,
    make_roles,
)
from spanwise.rl.updates import Updater
from spanwise.training import Processes, give_back_freed_memory, keep_freed_memory


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
        self,
        config: TrainerConfig,
        parts: TrainerParts,
        folder: RunFolder,
        *,
        progress: ProgressView | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes()
        parts.policy.use_prompts(config.prompt)
        check_parts(config, parts)
        check_processes(config, self.processes)
        self.config = config
        self.parts = parts
        self.folder = folder
        self.progress = progress if progress is not None and self.processes.writes else NoProgress()
        self.kl = KLController(config.kl.coef, config.kl.target, config.kl.horizon)
        self._start = fingerprints(
            parts.policy, parts.pipeline, {"prompts": parts.prompts, "heldout_prompts": parts.heldout}
        )
        roles = make_roles(parts.policy, config, learns_values=isinstance(parts.algorithm, LearnsValues))
        if self.processes.splits:
            roles.split(self.processes.count)
        self.reference, self.value_model = roles.reference, roles.value_model
        self.budget = Budget(
            config.update.micro_batch_size,
            config.update.micro_batch_tokens,
            processes=self.processes,
            lockstep=self.processes.splits,
            say=self.progress.noted,
        )
        self.sampling_budget = self._sampling_budget()
        self.updater = Updater(parts.policy, self.value_model, parts.algorithm, config, budget=self.budget)
        self._clock = Clock()
        self._gives_back = keep_freed_memory(parts.policy.device)
        self._rollouts = RolloutMaker(
            parts.policy,
            parts.pipeline,
            max_prompt_tokens=config.rollout.max_prompt_tokens,
            token_spans=parts.token_spans,
            clock=self._clock,
            budget=self.sampling_budget,
            sampler=parts.sampler,
            values=self.value_model.of_each if self.value_model is not None and self.value_model.of_policy else None,
        )
        self.make_experience = ExperienceMaker(
            self.reference,
            self.value_model,
            sampling=config.sampling,
            kl=config.kl,
            budget=self.budget,
            corrected=None if parts.sampler is None else (parts.policy, config.rollout.correction),
        )
        self._evaluate = Evaluator(self._rollouts, self.reference, parts.heldout, config, budget=self.budget)
        self._alarms = Alarms(config.alarms)
        self._states = StateStore(folder.checkpoint(""), keep=config.training_states.keep, say=self.progress.noted)

    def _sampling_budget(self) -> Budget:
        rollout, evaluation = self.config.rollout, self.config.evaluation
        return Budget(
            max(rollout.responses_per_step(), evaluation.max_prompts * evaluation.best_of),
            processes=self.processes,
            say=self.progress.noted,
            done="sampled",
            remedy="rollout.prompts_per_step, rollout.samples_per_prompt or evaluation.max_prompts",
        )

    def run(self, *, resume: bool = False) -> TrainingResult:
        """The whole run: steps are numbered from 1, and 0 is the policy as it came.

        With `resume` the run goes on from the newest intact training state of its folder, where there is one, and ends
        with the numbers of a run that was never stopped. Raises ConfigError or CheckpointError when the folder holds
        another run, DataError while another run writes there.
        """
        with self.folder.locked() if self.processes.writes else contextlib.nullcontext():
            return self._run(resume=self.processes.gather(resume and holds_run(self.folder.path))[0])

    def _run(self, *, resume: bool) -> TrainingResult:
        done, result = self._resumed() if resume else self._begun()
        for step in range(done + 1, self.config.steps + 1):
            metrics = self.step(step)
            metrics |= self._watched(step, metrics)
            self.progress.stepped(step, metrics)
            if step % self.config.evaluation.every == 0 or step == self.config.steps:
                metrics |= self._evaluated(step)
                result = self._judged(result, step, metrics["eval/reward/total"])
            self._log(step, metrics)
            if step == self.config.steps:
                self._save_policy("last")
            if step % self.config.training_states.every == 0 or step == self.config.steps:
                state = self._state(step, result)
                if self.processes.writes:
                    self._states.save(state)
        return result

    def _begun(self) -> tuple[int, TrainingResult]:
        if self.processes.writes:
            self._states.clear()
            self.folder.save_config(self.config)
        metrics = self._evaluated(0)
        self._save_policy("best")
        self._log(0, metrics)
        reward = metrics["eval/reward/total"]
        return 0, TrainingResult(reward, reward, 0, reward)

    def _resumed(self) -> tuple[int, TrainingResult]:
        check_same_settings(self.folder.path, self.config)
        if self.processes.writes:
            self.folder.save_config(self.config)  # it may have been given more steps
        else:
            self.processes.wait()  # until the one that writes has removed what was left half-done
        state = self._states.newest()
        if self.processes.writes:
            self.processes.wait()
        if state is None:
            self._rewind(-1)
            return self._begun()
        check_same_start(state.numbers["start"], self._start, str(self.folder.path))
        self.updater.restore(state.tensors)
        self.kl.coef = state.numbers["kl_coef"]
        for budget, halved in ((self.budget, "halved"), (self.sampling_budget, "sampling_halved")):
            if state.numbers.get(halved, False):
                budget.halve()
        self._rewind(state.step)
        self._alarms.recall(self.folder.path)
        self.progress.noted(f"goes on after step {state.step} of {self.config.steps}.")
        return state.step, _result_from_json(state.numbers["result"])

    def _state(self, step: int, result: TrainingResult) -> TrainingState:
        numbers: dict[str, Any] = {k: None if math.isnan(v) else v for k, v in asdict(result).items()}
        return TrainingState(
            step,
            self.updater.tensors(),
            {
                "kl_coef": self.kl.coef,
                "halved": self.budget.halved,
                "sampling_halved": self.sampling_budget.halved,
                "result": numbers,
                "start": self._start,
            },
        )

    def _judged(self, result: TrainingResult, step: int, reward: float) -> TrainingResult:
        """The result with the reward of an evaluation, whose policy is saved if it is the best yet."""
        if reward > result.best_reward or math.isnan(result.best_reward):
            self._save_policy("best")
            result = replace(result, best_reward=reward, best_step=step)
        return replace(result, last_reward=reward)

    def _save_policy(self, name: str) -> None:
        weights = self.parts.policy.weights()
        if self.processes.writes:
            self.parts.policy.save(self.folder.checkpoint(name), weights)

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        if self.processes.writes:
            self.folder.log_metrics(step, metrics)

    def _rewind(self, step: int) -> None:
        if self.processes.writes:
            self.folder.rewind(step)

    def step(self, step: int) -> dict[str, float]:
        """One rollout and its updates; `step` counts from 1."""
        start = time.perf_counter()
        rollout = self.rollout(step)
        self._phase_ended()
        metrics = self.learn(rollout, step)
        self._phase_ended()
        return metrics | self._clock.take() | {"time/step_s": time.perf_counter() - start}

    def rollout(self, step: int) -> Rollout:
        """The scored responses of step `step`."""
        prompts = prompts_of_step(
            self.parts.prompts, step=step - 1, count=self.config.rollout.prompts_per_step, seed=self.config.seed
        )
        device = self.parts.policy.device
        return self._rollouts.sample(
            prompts,
            sampling=self.config.sampling,
            samples_per_prompt=self.config.rollout.samples_per_prompt,
            generator=torch_generator(self.config.seed, self.processes.named(f"rollout/{step}"), device),
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
        if experience.sampling_weights is not None:
            sampled = rollout.responses.logprobs[(~rollout.scores.dropped).nonzero()[:, 0]]
            metrics |= correction_metrics(
                experience.old_logprobs, sampled, experience.response_mask, self.config.rollout.correction
            )
        batch = self.batch_of(experience)
        self._phase_ended()
        if self.value_model is not None:
            metrics |= value_metrics(batch)
        kl_coef = self.kl.coef if self.config.kl.where == "loss" else 0.0
        with self._clock("update"):
            shuffle = torch_generator(self.config.seed, f"minibatches/{step}")
            metrics |= self.updater.run(batch, step=step - 1, generator=shuffle, kl_coef=kl_coef)
        if experience.kl is not None:
            self.kl.update(metrics["kl/response"], len(batch))
        return metrics

    def _phase_ended(self) -> None:
        if self._gives_back:
            give_back_freed_memory()

    def batch_of(self, experience: Experience) -> TrainingBatch:
        """The experience with the algorithm's advantages."""
        return TrainingBatch.of(experience, self.parts.algorithm.advantages(experience))

    def _watched(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        figures, sentences = self._alarms.watch(metrics)
        for sentence in sentences:
            self.progress.noted(f"step {step}: {sentence}.")
        return figures

    def _evaluated(self, step: int) -> dict[str, float]:
        start = time.perf_counter()
        metrics, rows = self._evaluate(step)
        self._clock.take()
        for row in rows if self.processes.writes else ():
            self.folder.log_sample(step, row)
        self.progress.evaluated(step, metrics)
        return metrics | {"time/evaluation_s": time.perf_counter() - start}


def _result_from_json(numbers: dict[str, Any]) -> TrainingResult:
    """JSON has no NaN; rewards that were none are null there."""
    first, best, last = (
        math.nan if numbers[name] is None else float(numbers[name])
        for name in ("first_reward", "best_reward", "last_reward")
    )
    return TrainingResult(first, best, int(numbers["best_step"]), last)
