"""AdamW over the trained parameters of one model: the schedule of learning rates, clipped gradients, state by name.

A parameter in half precision has a copy in float32 here, which gathers its gradients and takes its updates: a small
update of a weight in half precision would be rounded away. Of one that is split over processes, the part of this one
is updated.
"""

import math
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from spanwise.models import joined, local, part_of
from spanwise.training.config import OptimizerConfig
from spanwise.training.processes import Processes


def learning_rate(config: OptimizerConfig, *, step: int, steps: int, highest: float | None = None) -> float:
    """The learning rate of training step `step`, counted from 0, out of `steps`: the one schedule of all training.

    `highest` stands in for the config's learning rate.
    """
    highest = config.learning_rate if highest is None else highest
    warmup = math.ceil(config.warmup_ratio * steps)
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    if config.decay == "constant":
        return highest
    return highest * (steps - step) / (steps - warmup)


class Optimizer:
    """AdamW with a learning rate per step and gradients clipped to a norm before each update.

    `rates` holds the highest learning rate of those parameters that have one of their own, by name; parameters in
    `undecayed` have no weight decay.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        config: OptimizerConfig,
        processes: Processes | None = None,
        *,
        rates: Mapping[str, float] | None = None,
        undecayed: Collection[str] = (),
    ) -> None:
        self._config = config
        self._processes = processes or Processes()
        self._served = dict(parameters)
        self._split = {name: p for name, p in parameters.items() if isinstance(p, DTensor)}
        self._named = {name: _learner(parameter) for name, parameter in parameters.items()}
        self._parameters = list(self._named.values())
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self._named.items():
            highest = (rates or {}).get(name, config.learning_rate)
            decay = 0.0 if name in undecayed else config.weight_decay
            groups.setdefault((highest, decay), []).append(parameter)
        self._adamw = torch.optim.AdamW(
            [
                {"params": members, "lr": highest, "highest": highest, "weight_decay": decay}
                for (highest, decay), members in groups.items()
            ],
            fused=True,
        )

    @property
    def device(self) -> torch.device:
        """Where what it trains is."""
        return self._parameters[0].device

    def set_learning_rate(self, *, step: int, steps: int) -> float:
        """Sets the learning rates of a step, counted from 0, and returns that of the config."""
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate(self._config, step=step, steps=steps, highest=group["highest"])
        return learning_rate(self._config, step=step, steps=steps)

    def update(self) -> float:
        """Clips, updates, clears the gradients, and returns the gradient's norm before clipping.

        A gradient that is not finite changes nothing: its norm is returned, the gradients stay.
        """
        norm = self._clipped()
        if math.isfinite(norm):
            self._adamw.step()
            self._serve()
            self.clear()
        return norm

    def gradients(self, *, split: bool = True) -> list[Tensor]:
        """The gradient of every parameter as gathered so far, zeros where there is none yet.

        Those of split parameters are of this process's part and summed over all processes already.
        """
        wanted = [p for name, p in self._named.items() if split or name not in self._split]
        for parameter in wanted:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in wanted if parameter.grad is not None]

    def clear(self) -> None:
        """Forgets the gradients that were gathered."""
        self._adamw.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: the parameters, and what AdamW remembers of each once it was updated.

        Split ones are whole in the process that writes, and empty in the others, which must ask as well.
        """
        tensors: dict[str, Tensor] = {f"weight/{name}": parameter for name, parameter in self._named.items()}
        for name, parameter in self._named.items():
            tensors |= {f"{key}/{name}": value for key, value in self._adamw.state[parameter].items()}
        return {key: self._joined(key.partition("/")[2], value) for key, value in tensors.items()}

    def _joined(self, name: str, value: Tensor) -> Tensor:
        if name not in self._split or value.ndim == 0:
            return value
        together = joined(value.detach(), self._split[name])
        return together if self._processes.writes else value.new_empty(0)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        for key, value in tensors.items():
            kind, _, name = key.partition("/")
            parameter = self._named[name]
            mine = part_of(value, self._split[name]) if name in self._split and value.ndim > 0 else value
            if kind == "weight":
                parameter.copy_(mine)
            else:
                self._adamw.state[parameter][kind] = mine.to(parameter.device)
        self._serve()

    @torch.no_grad()
    def _serve(self) -> None:
        """Brings what was learned into the model."""
        for name, parameter in self._served.items():
            if self._named[name].dtype != parameter.dtype:
                local(parameter).copy_(self._named[name])

    def _clipped(self) -> float:
        """The norm of all gradients, which are scaled down to the largest norm allowed."""
        limit = self._config.max_grad_norm
        if not self._split:
            return float(nn.utils.clip_grad_norm_(self._parameters, limit))
        parts = [p.grad for name, p in self._named.items() if name in self._split and p.grad is not None]
        others = [p.grad for name, p in self._named.items() if name not in self._split and p.grad is not None]
        square = nn.utils.get_total_norm(parts).to(self._parameters[0].device) ** 2
        self._processes.add_up([square])
        norm = (square + nn.utils.get_total_norm(others).to(square.device) ** 2).sqrt()
        nn.utils.clip_grads_with_norm_(self._parameters, limit, norm)
        return float(norm)


def _learner(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter itself; for one that is split its part here, in the same memory; in half precision a float32 copy.

    Gradients go to what is learned.
    """
    if parameter.dtype not in (torch.bfloat16, torch.float16) and not isinstance(parameter, DTensor):
        return parameter
    learner = nn.Parameter(local(parameter).detach().float())
    parameter.register_post_accumulate_grad_hook(_sender(learner))
    return learner


def _sender(learner: nn.Parameter) -> Callable[[Tensor], None]:
    def send(parameter: Tensor) -> None:
        if parameter.grad is None:
            return
        gradient = local(parameter.grad)
        if learner.grad is None:
            learner.grad = gradient.float()
        else:
            learner.grad += gradient
        parameter.grad = None

    return send
