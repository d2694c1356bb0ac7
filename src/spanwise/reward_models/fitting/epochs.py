"""The epochs of training a reward model: clipped steps on shuffled batches, and the weights of the best epoch kept.

Knows no example, loss or metric: `fit.py` and `token_fit.py` bring theirs. Nothing of files.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from spanwise.core import RunFolder, torch_generator
from spanwise.reward_models.config import RewardModelConfig
from spanwise.reward_models.token_config import TokenRewardConfig

_Example = TypeVar("_Example")


@runtime_checkable
class Training(Protocol[_Example]):
    """What one kind of reward model brings to the loop."""

    title: str
    """What the progress bar calls it."""

    @property
    def config(self) -> RewardModelConfig | TokenRewardConfig: ...

    @property
    def model(self) -> nn.Module: ...

    def optimizer(self) -> torch.optim.Optimizer:
        """An optimiser of everything that learns."""
        ...

    def batches(self, train: Sequence[_Example], shuffle: torch.Generator) -> Iterable[Sequence[_Example]]:
        """All of `train` once, in random order."""
        ...

    def loss(self, group: Sequence[_Example]) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss of one batch, and numbers to log, which are read after the step."""
        ...

    def judge(self, examples: Sequence[_Example]) -> tuple[float, dict[str, float]]:
        """How good the model is on held-out examples (the higher the better), and the metrics behind it by name."""
        ...


def run_epochs(
    training: Training[_Example],
    train: Sequence[_Example],
    judge: Sequence[_Example],
    *,
    folder: RunFolder | None,
    progress: Progress | None,
) -> None:
    """Trains the model in place and leaves it with the weights of the epoch that is best on `judge`."""
    fitting, model = training.config.fitting, training.model
    steps = fitting.epochs * -(-len(train) // fitting.batch_size)
    optimizer = training.optimizer()
    schedule = get_linear_schedule_with_warmup(optimizer, round(fitting.warmup_share * steps), steps)
    shuffle = torch_generator(training.config.seed, "reward/shuffle")
    task = progress.add_task(training.title, total=steps) if progress else None
    best, step = (float("-inf"), _weights(model)), 0
    for _ in range(fitting.epochs):
        model.train()
        for group in training.batches(train, shuffle):
            values = _update(training, group, optimizer)
            schedule.step()
            step += 1
            _log(folder, step, values)
            if progress and task is not None:
                progress.update(task, advance=1, description=f"{training.title}  loss {values['reward/loss']:.3f}")
        score, metrics = training.judge(judge)
        _log(folder, step, {"heldout/selection": score, **{f"heldout/{name}": one for name, one in metrics.items()}})
        if score >= best[0]:
            best = (score, _weights(model))
    model.load_state_dict(best[1], strict=False)
    model.eval()


def _update(
    training: Training[_Example], group: Sequence[_Example], optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    total, values = training.loss(group)
    optimizer.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(training.model.parameters(), training.config.fitting.max_grad_norm)
    optimizer.step()
    return {"reward/loss": total.item(), **{name: value.item() for name, value in values.items()}}


def _log(folder: RunFolder | None, step: int, values: dict[str, float]) -> None:
    if folder is not None:
        folder.log_metrics(step, values)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Those that training changes."""
    return {name: p.detach().cpu().clone() for name, p in model.named_parameters() if p.requires_grad}
