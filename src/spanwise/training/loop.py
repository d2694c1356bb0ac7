"""The one loop of training on texts: epochs over batches, micro-batches, clipped steps, and the best checkpoint kept.

What is learnt, from which batches and how it is measured, is the objective's: demonstrations (`sft.py`), edit pairs
(`dpo.py`), reward models. Knows no example, loss or file format.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.core import RunFolder, SpanwiseError, TrainingError
from spanwise.training.config import LoopConfig
from spanwise.training.host_memory import give_back_freed_memory, keep_freed_memory
from spanwise.training.optimizer import Optimizer

Item = TypeVar("Item")
Terms = TypeVar("Terms")

_BATCHES_SORTED_TOGETHER = 16
"""Items are sorted by length within this many batches: little padding, and still an order by chance."""

Watch = Callable[[int, Mapping[str, float]], None]
"""Called with the step and its metrics after every step; those of an evaluation come along as heldout/..."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What held-out data says of the model as it is."""

    goodness: float
    """The higher, the better; what is not finite is never better."""
    metrics: dict[str, float]
    """Logged as heldout/NAME."""


@dataclass(frozen=True, slots=True)
class Best:
    """The step, counted from 1, after which the model was best, and what held-out data said then."""

    step: int
    evaluation: Evaluation


@runtime_checkable
class Objective(Protocol[Item, Terms]):
    """What one kind of training brings to the loop."""

    name: str
    """Metrics of a step are logged as NAME/..."""
    remedy: str
    """What to do where the gradient is not finite, as the end of a sentence."""
    later_of_equals: bool
    """Whether of equally good checkpoints the later one is kept."""

    @property
    def config(self) -> LoopConfig: ...

    @property
    def size(self) -> int:
        """Items of an epoch."""
        ...

    def optimizer(self) -> Optimizer:
        """An optimiser of everything that learns."""
        ...

    def batches(self) -> Iterable[Sequence[Item]]:
        """Every item once, in an order by chance: the batches of the next epoch."""
        ...

    def parts(self, batch: Sequence[Item]) -> Iterable[Sequence[Item]]:
        """The micro-batches of a batch, each of which one forward pass reads."""
        ...

    def loss(self, part: Sequence[Item], batch: Sequence[Item], /) -> tuple[Float[Tensor, ""], Terms]:
        """What a part adds to the loss of its batch, and what the figures are made of."""
        ...

    def figures(self, terms: Sequence[Terms]) -> dict[str, float]:
        """The metrics of a step, from the terms of its parts; read after the step."""
        ...

    def evaluate(self) -> Evaluation:
        """Measures the model on held-out data."""
        ...

    def keep(self) -> None:
        """Keeps the model as it is: it is the best so far."""
        ...


def run_loop(objective: Objective[Item, Terms], *, run: RunFolder | None = None, watch: Watch | None = None) -> Best:
    """Trains to the end and says which evaluation was best; the first one is kept in any case.

    Every step is logged to `run`. Raises SpanwiseError where a gradient, or what an evaluation needs, is not finite.
    """
    best: Best | None = None
    for step, metrics in training_steps(objective):
        shown = metrics
        if _evaluation_is_due(objective.config, step, objective.size):
            evaluation = _evaluation(objective, step)
            if best is None or _is_better(evaluation, best.evaluation, objective.later_of_equals):
                best = Best(step, evaluation)
                objective.keep()
            shown = metrics | {f"heldout/{name}": value for name, value in evaluation.metrics.items()}
        if run is not None:
            run.log_metrics(step, shown)
        if watch is not None:
            watch(step, shown)
    if best is None:
        raise SpanwiseError("There is nothing to train on; give at least one item.")
    return best


def _evaluation(objective: Objective[Item, Terms], step: int) -> Evaluation:
    try:
        return objective.evaluate()
    except TrainingError as error:
        raise TrainingError(f"Step {step}: {str(error).rstrip('.')}; {objective.remedy}") from error


def training_steps(objective: Objective[Item, Terms]) -> Iterator[tuple[int, dict[str, float]]]:
    """Trains, and yields the number and the metrics of each step just done, counted from 1."""
    optimizer, step = objective.optimizer(), 0
    kept = keep_freed_memory(optimizer.device)
    for _ in range(objective.config.epochs):
        for batch in objective.batches():
            step += 1
            yield step, _step(objective, optimizer, batch, step)
    if kept:
        give_back_freed_memory()


def _step(
    objective: Objective[Item, Terms], optimizer: Optimizer, batch: Sequence[Item], step: int
) -> dict[str, float]:
    rate = optimizer.set_learning_rate(step=step - 1, steps=objective.config.steps(objective.size))
    terms: list[Terms] = []
    for part in objective.parts(batch):
        loss, term = objective.loss(part, batch)
        loss.backward()
        terms.append(term)
    norm = optimizer.update()
    if not math.isfinite(norm):
        raise TrainingError(f"Step {step}: the gradient is not finite; {objective.remedy}")
    figures = objective.figures(terms) | {"learning_rate": rate, "grad_norm": norm}
    return {f"{objective.name}/{name}": value for name, value in figures.items()}


def _evaluation_is_due(config: LoopConfig, step: int, size: int) -> bool:
    """Whether `step` ends one of the equal parts of its epoch."""
    per_epoch, parts = config.steps_per_epoch(size), config.evaluations_per_epoch
    number = (step - 1) % per_epoch + 1
    return number * parts // per_epoch > (number - 1) * parts // per_epoch


def _is_better(evaluation: Evaluation, earlier: Evaluation, later_of_equals: bool) -> bool:
    now, then = (value if math.isfinite(value) else -math.inf for value in (evaluation.goodness, earlier.goodness))
    return now > then or (later_of_equals and now == then)


def shuffled(items: Sequence[Item], batch_size: int, generator: torch.Generator) -> list[list[Item]]:
    """All items once, by chance, in batches; the last one may be smaller."""
    order: list[int] = torch.randperm(len(items), generator=generator).tolist()
    chunks = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
    return [[items[index] for index in chunk] for chunk in chunks]


def bucketed(
    items: Sequence[Item], batch_size: int, generator: torch.Generator, *, length: Callable[[Item], int]
) -> list[list[Item]]:
    """All items once, by chance, in batches of similar lengths, so that little is padding."""
    order: list[int] = torch.randperm(len(items), generator=generator).tolist()
    window = batch_size * _BATCHES_SORTED_TOGETHER
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda index: length(items[index]))
        batches += [near[first : first + batch_size] for first in range(0, len(near), batch_size)]
    places: list[int] = torch.randperm(len(batches), generator=generator).tolist()
    return [[items[index] for index in batches[batch_index]] for batch_index in places]


def micro_batches(batch: Sequence[Item], tokens: int, *, length: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The batch, shortest first, in parts of at most `tokens` tokens, padding included; one item always fits."""
    part: list[Item] = []
    for item in sorted(batch, key=length):
        if part and (len(part) + 1) * length(item) > tokens:
            yield part
            part = []
        part.append(item)
    yield part
