"""Turns one training batch into optimiser updates of policy and value model. Blind to the algorithm.

A minibatch may be read in micro-batches of any size: losses are divided by the minibatch's token count, so the
gradients that add up are those of one big pass. Dropout is off: the models stay in evaluation mode throughout.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from spanwise.models.heads import ValueModel
from spanwise.models.policy import Policy
from spanwise.rl.config import OptimizerConfig, TrainerConfig
from spanwise.rl.losses import LossOutputs
from spanwise.rl.types import Algorithm, TrainingBatch


def learning_rate(config: OptimizerConfig, *, step: int, steps: int) -> float:
    """The learning rate of training step `step`, counted from 0, out of `steps`."""
    warmup = math.ceil(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.decay == "constant":
        return config.learning_rate
    return config.learning_rate * (steps - step) / (steps - warmup)


class Optimizer:
    """AdamW over one model: a learning rate per step, gradients clipped to a norm before each update."""

    def __init__(self, model: nn.Module, config: OptimizerConfig) -> None:
        self._config = config
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._adamw = torch.optim.AdamW(
            self._parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def set_learning_rate(self, *, step: int, steps: int) -> float:
        """Sets and returns the learning rate of a step."""
        rate = learning_rate(self._config, step=step, steps=steps)
        for group in self._adamw.param_groups:
            group["lr"] = rate
        return rate

    def update(self) -> float:
        """Clips, updates, clears the gradients, and returns the gradient's norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm, error_if_nonfinite=True)
        self._adamw.step()
        self.clear()
        return float(norm)

    def clear(self) -> None:
        """Forgets the gradients that were gathered."""
        self._adamw.zero_grad(set_to_none=True)


class Updater:
    """Owns the optimisers of policy and value model and spends a step's training batch on them."""

    def __init__(self, policy: Policy, value_model: ValueModel, algorithm: Algorithm, config: TrainerConfig) -> None:
        self._policy = policy
        self._value_model = value_model
        self._algorithm = algorithm
        self._config = config
        self._policy_optimizer = Optimizer(policy.model, config.policy_optimizer)
        self._value_optimizer = Optimizer(value_model, config.value_optimizer)

    def run(self, batch: TrainingBatch, *, step: int, generator: torch.Generator) -> dict[str, float]:
        """All updates of training step `step`, counted from 0; returns means over the minibatches that were used.

        During the first `value_warmup_steps` only the value model learns. When the policy has moved further than
        `target_kl`, the minibatch that showed it and the rest are skipped.
        """
        settings, warmup = self._config.update, self._config.value_warmup_steps
        train_policy = step >= warmup
        rates = {"value/learning_rate": self._value_optimizer.set_learning_rate(step=step, steps=self._config.steps)}
        if train_policy:
            rates["policy/learning_rate"] = self._policy_optimizer.set_learning_rate(
                step=step - warmup, steps=self._config.steps - warmup
            )
        used: list[dict[str, float]] = []
        stopped = False
        for rows in _minibatches(len(batch), settings.minibatch_size, settings.epochs, generator):
            metrics = self.accumulate(batch.select(rows), train_policy=train_policy)
            stopped = settings.target_kl is not None and metrics.get("policy/approx_kl", 0.0) > settings.target_kl
            if stopped:
                self._policy_optimizer.clear()
                self._value_optimizer.clear()
                break
            if train_policy:
                metrics["policy/grad_norm"] = self._policy_optimizer.update()
            metrics["value/grad_norm"] = self._value_optimizer.update()
            used.append(metrics)
        return _means(used) | rates | {"update/count": float(len(used)), "update/stopped": float(stopped)}

    def accumulate(self, minibatch: TrainingBatch, *, train_policy: bool = True) -> dict[str, float]:
        """Adds the gradients of one minibatch, micro-batch by micro-batch, and returns its exact metrics."""
        tokens = minibatch.tokens
        totals: defaultdict[str, float] = defaultdict(float)
        for rows in minibatch.inputs.parts(self._config.update.micro_batch_size):
            part = minibatch.select(rows)
            for outputs in self.losses(part, tokens=tokens, train_policy=train_policy):
                outputs.loss.backward()
                for name, value in outputs.metrics.items():
                    totals[name] += float(value)
        return dict(totals)

    def losses(self, part: TrainingBatch, *, tokens: int, train_policy: bool) -> Iterator[LossOutputs]:
        """One loss at a time, so that the graph of the first is freed before the second is built."""
        inputs = part.inputs
        if train_policy:
            logprobs = self._policy.logprobs(
                inputs.prompts,
                inputs.response_ids,
                inputs.response_mask,
                sampling=self._config.sampling,
                support=inputs.support,
            ).logprobs
            yield self._algorithm.policy_loss(logprobs, part, tokens=tokens)
        values = self._value_model.values(inputs.prompts, inputs.response_ids, inputs.response_mask)
        yield self._algorithm.value_loss(values, part, tokens=tokens)


def _minibatches(rows: int, size: int | None, epochs: int, generator: torch.Generator) -> Iterator[Int[Tensor, " n"]]:
    """Row numbers of each minibatch, all rows once per epoch in a new order."""
    for _ in range(epochs):
        yield from torch.randperm(rows, generator=generator).split(size or max(rows, 1))


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}
