"""Turns one training batch into optimiser updates of policy and value model. Blind to the algorithm.

A minibatch may be read in micro-batches of any size: losses are divided by the minibatch's token count, so the
gradients that add up are those of one big pass. Dropout is off: the models stay in evaluation mode throughout.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Int
from torch import Tensor

from spanwise.core import TrainingError
from spanwise.models import Policy, ValueModel
from spanwise.rl.algorithms import Algorithm, LearnsValues, LossOutputs, TrainingBatch, kl_loss, response_weights
from spanwise.rl.config import TrainerConfig
from spanwise.rl.runtime import Budget
from spanwise.training import Optimizer


class Updater:
    """Owns the optimisers of policy and value model and spends a step's training batch on them."""

    def __init__(
        self,
        policy: Policy,
        value_model: ValueModel | None,
        algorithm: Algorithm,
        config: TrainerConfig,
        *,
        budget: Budget,
    ) -> None:
        self._policy = policy
        self._value_model = value_model
        self._algorithm = algorithm
        self._config = config
        self._budget = budget
        self._warmup = 0 if value_model is None else config.value_warmup_steps
        processes = budget.processes
        self._policy_optimizer = Optimizer(policy.trained_parameters(), config.policy_optimizer, processes)
        self._value_optimizer = (
            None
            if value_model is None
            else Optimizer(value_model.trained_parameters(), config.value_optimizer, processes)
        )
        self._optimizers = {"policy": self._policy_optimizer}
        if self._value_optimizer is not None:
            self._optimizers["value"] = self._value_optimizer

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes; all processes must ask for it, of which the one that writes has split ones."""
        by_role = ((role, optimizer.tensors()) for role, optimizer in self._optimizers.items())
        return {f"{role}/{name}": tensor for role, tensors in by_role for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave; raises KeyError where it is of other models."""
        for role, optimizer in self._optimizers.items():
            optimizer.restore({k.partition("/")[2]: v for k, v in tensors.items() if k.startswith(f"{role}/")})

    def run(
        self, batch: TrainingBatch, *, step: int, generator: torch.Generator, kl_coef: float = 0.0
    ) -> dict[str, float]:
        """All updates of training step `step`, counted from 0; returns means over the minibatches that were used.

        During the first `value_warmup_steps` only the value model learns. When the policy has moved further than
        `target_kl`, the minibatch that showed it and the rest are skipped. `kl_coef` is the weight of the KL loss.
        Raises TrainingError, before anything is updated by it, for a gradient that is not finite.
        """
        settings = self._config.update
        train_policy = step >= self._warmup
        rates = self._set_learning_rates(step, train_policy=train_policy)
        used: list[dict[str, float]] = []
        stopped = False
        groups = batch.inputs.groups()
        for rows in minibatches(groups, settings.minibatch_size, settings.epochs, generator):
            metrics = self.accumulate(batch.select(rows), train_policy=train_policy, kl_coef=kl_coef)
            stopped = settings.target_kl is not None and metrics.get("policy/approx_kl", 0.0) > settings.target_kl
            if stopped:
                self._clear()
                break
            used.append(metrics | self._update(step, train_policy=train_policy))
        return _means(used) | rates | {"update/count": float(len(used)), "update/stopped": float(stopped)}

    def accumulate(
        self, minibatch: TrainingBatch, *, train_policy: bool = True, kl_coef: float = 0.0
    ) -> dict[str, float]:
        """Adds the gradients of one minibatch, micro-batch by micro-batch, and returns its exact metrics."""
        weights = response_weights(
            minibatch.response_mask, self._config.ppo.loss_aggregation, longest=self._config.sampling.max_new_tokens
        )
        weighted = replace(minibatch, weights=weights)
        metrics = self._budget.spend(lambda: self._accumulated(weighted, train_policy, kl_coef))
        processes = self._budget.processes
        if processes.count > 1:
            for role, optimizer in self._optimizers.items():
                if role != "policy" or train_policy:
                    processes.add_up(optimizer.gradients(split=False))
        return processes.add_up_numbers(metrics)

    def losses(
        self, part: TrainingBatch, *, tokens: int, train_policy: bool, kl_coef: float = 0.0
    ) -> Iterator[LossOutputs]:
        """One loss at a time, so that the graph of the first is freed before the second is built."""
        inputs = part.inputs
        if self._value_model is not None and self._value_model.of_policy:
            yield self._joint_loss(self._value_model, part, tokens=tokens, train_policy=train_policy, kl_coef=kl_coef)
            return
        if train_policy:
            logprobs = self._policy.logprobs(
                inputs.prompts,
                inputs.response_ids,
                inputs.response_mask,
                sampling=self._config.sampling,
                support=inputs.support,
            ).logprobs
            yield self._policy_loss(logprobs, part, tokens=tokens, kl_coef=kl_coef)
        if self._value_model is not None and isinstance(self._algorithm, LearnsValues):
            values = self._value_model.values(inputs.prompts, inputs.response_ids, inputs.response_mask)
            yield self._algorithm.value_loss(values, part, tokens=tokens)

    def _accumulated(self, minibatch: TrainingBatch, train_policy: bool, kl_coef: float) -> dict[str, float]:
        self._clear()
        tokens = minibatch.tokens
        totals: defaultdict[str, float] = defaultdict(float)
        for rows, counts in self._budget.passes(minibatch.inputs):
            part = minibatch.select(rows)
            for outputs in self.losses(part, tokens=tokens, train_policy=train_policy, kl_coef=kl_coef):
                (outputs.loss if counts else 0.0 * outputs.loss).backward()
                for name, value in outputs.metrics.items() if counts else ():
                    totals[name] += float(value)
        return dict(totals)

    def _joint_loss(
        self, value_model: ValueModel, part: TrainingBatch, *, tokens: int, train_policy: bool, kl_coef: float
    ) -> LossOutputs:
        """The losses of policy and values from one reading; without `train_policy` only the value head learns."""
        inputs = part.inputs
        with torch.set_grad_enabled(train_policy):
            states = self._policy.hidden(inputs.prompts, inputs.response_ids, inputs.response_mask)
        values = value_model.of_states(states, inputs.response_mask)
        of_values = cast("LearnsValues", self._algorithm).value_loss(values, part, tokens=tokens)
        if not train_policy:
            return of_values
        logprobs = self._policy.logprobs_of(
            states,
            inputs.response_ids,
            inputs.response_mask,
            sampling=self._config.sampling,
            support=inputs.support,
        ).logprobs
        of_policy = self._policy_loss(logprobs, part, tokens=tokens, kl_coef=kl_coef)
        loss = of_policy.loss + self._config.ppo.value_coef * of_values.loss
        return LossOutputs(loss, of_policy.metrics | of_values.metrics)

    def _policy_loss(self, logprobs: Tensor, part: TrainingBatch, *, tokens: int, kl_coef: float) -> LossOutputs:
        outputs = self._algorithm.policy_loss(logprobs, part, tokens=tokens)
        if kl_coef == 0:
            return outputs
        if part.ref_logprobs is None:
            raise TypeError("a KL loss needs the reference's log-probabilities")
        kl = kl_loss(
            logprobs,
            part.ref_logprobs,
            part.response_mask,
            estimator=self._config.kl.estimator,
            tokens=tokens,
            weights=part.weights,
        )
        return LossOutputs(outputs.loss + kl_coef * kl.loss, outputs.metrics | kl.metrics)

    def _set_learning_rates(self, step: int, *, train_policy: bool) -> dict[str, float]:
        steps, rates = self._config.steps, dict[str, float]()
        if self._value_optimizer is not None:
            rates["value/learning_rate"] = self._value_optimizer.set_learning_rate(step=step, steps=steps)
        if train_policy:
            rates["policy/learning_rate"] = self._policy_optimizer.set_learning_rate(
                step=step - self._warmup, steps=steps - self._warmup
            )
        return rates

    def _update(self, step: int, *, train_policy: bool) -> dict[str, float]:
        norms: dict[str, float] = {}
        for role, optimizer in self._optimizers.items():
            if role == "policy" and not train_policy:
                continue
            norms[f"{role}/grad_norm"] = norm = optimizer.update()
            if not math.isfinite(norm):
                self._clear()
                raise TrainingError(
                    f"Step {step + 1}: the gradient of the {role} is {norm}, so it was not updated. The training "
                    f"states before this step are intact; lower {role}_optimizer.learning_rate and start again."
                )
        return norms

    def _clear(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.clear()


def minibatches(
    groups: Int[Tensor, " b"], size: int | None, epochs: int, generator: torch.Generator
) -> Iterator[Int[Tensor, " n"]]:
    """Row numbers of each minibatch, all rows once per epoch in a new order.

    Rows of one group, which have the same prompt, follow one another, so that a minibatch reads few prompts.
    """
    count = len(groups)
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        of_group = torch.randperm(count, generator=generator)[groups.to(order.device)]
        yield from order[of_group[order].argsort(stable=True)].split(size or max(count, 1))


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}
