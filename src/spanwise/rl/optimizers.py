"""AdamW over the trained parameters of one model: learning rates by step, clipped gradients, and its state by name.

A parameter in half precision has a copy in float32 here, which gathers its gradients and takes its updates: a small
update of a weight in half precision would be rounded away.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from spanwise.rl.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, *, step: int, steps: int) -> float:
    """The learning rate of training step `step`, counted from 0, out of `steps`."""
    warmup = math.ceil(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    if config.decay == "constant":
        return config.learning_rate
    return config.learning_rate * (steps - step) / (steps - warmup)


class Optimizer:
    """AdamW with a learning rate per step and gradients clipped to a norm before each update."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], config: OptimizerConfig) -> None:
        self._config = config
        self._served = dict(parameters)
        self._named = {name: _learner(parameter) for name, parameter in parameters.items()}
        self._parameters = list(self._named.values())
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
        """Clips, updates, clears the gradients, and returns the gradient's norm before clipping.

        A gradient that is not finite changes nothing: its norm is returned, the gradients stay.
        """
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm))
        if math.isfinite(norm):
            self._adamw.step()
            self._serve()
            self.clear()
        return norm

    def gradients(self) -> list[Tensor]:
        """The gradient of every parameter as gathered so far, zeros where there is none yet."""
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def clear(self) -> None:
        """Forgets the gradients that were gathered."""
        self._adamw.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: the parameters, and what AdamW remembers of each once it was updated."""
        found: dict[str, Tensor] = {f"weight/{name}": parameter for name, parameter in self._named.items()}
        for name, parameter in self._named.items():
            found |= {f"{key}/{name}": value for key, value in self._adamw.state[parameter].items()}
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        for key, value in tensors.items():
            kind, _, name = key.partition("/")
            parameter = self._named[name]
            if kind == "weight":
                parameter.copy_(value)
            else:
                self._adamw.state[parameter][kind] = value.to(parameter.device)
        self._serve()

    @torch.no_grad()
    def _serve(self) -> None:
        """Brings what was learned into the model."""
        for name, parameter in self._served.items():
            if self._named[name] is not parameter:
                parameter.copy_(self._named[name])


def _learner(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself, or for one in half precision a float32 copy to which its gradients go."""
    if parameter.dtype not in (torch.bfloat16, torch.float16):
        return parameter
    learner = nn.Parameter(parameter.detach().float())
    parameter.register_post_accumulate_grad_hook(_sender(learner))
    return learner


def _sender(learner: nn.Parameter) -> Callable[[Tensor], None]:
    def send(parameter: Tensor) -> None:
        if parameter.grad is None:
            return
        if learner.grad is None:
            learner.grad = parameter.grad.float()
        else:
            learner.grad += parameter.grad
        parameter.grad = None

    return send
