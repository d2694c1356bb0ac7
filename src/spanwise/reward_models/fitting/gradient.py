"""Fitting a reward model by gradient: what segments and tokens share as objectives of the one loop of training.

Backbone and heads learn at rates of their own, dropout is on, and the weights of the best evaluation stay in the
model. Knows no example and no loss; nothing of files.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn

from spanwise.core import RunFolder, derive_seed, torch_generator
from spanwise.reward_models.config import FittingConfig, RewardConfig
from spanwise.reward_models.network import SpanRewardModel
from spanwise.training import Evaluation, Optimizer, Watch, run_loop

Example = TypeVar("Example")
Terms = tuple[Tensor, dict[str, Tensor]]
"""The loss of a batch, and numbers to log, which are read after the step."""


class GradientFit(ABC, Generic[Example]):
    """One training run of `model`, in place. A batch is read by one forward pass."""

    name = "reward"
    remedy = "lower fitting.learning_rate or fitting.head_learning_rate."
    later_of_equals = True
    title: str
    """What the progress bar calls it."""

    def __init__(
        self, settings: RewardConfig, model: SpanRewardModel, pad_id: int, train: Sequence[Example],
        judge: Sequence[Example],
    ) -> None:  # fmt: skip
        self.model, self.pad_id = model, pad_id
        self.train, self.judge = train, judge
        self._settings = settings
        self.shuffle = torch_generator(settings.seed, "reward/shuffle")
        self._best: dict[str, Tensor] = {}

    @abstractmethod
    def measure(self) -> tuple[float, dict[str, float]]:
        """How good the model is on held-out examples (the higher the better), and the metrics behind it by name."""

    @abstractmethod
    def batch_loss(self, batch: Sequence[Example]) -> Terms:
        """The loss of a batch and what to log of it."""

    @abstractmethod
    def epoch(self) -> list[list[Example]]:
        """All examples once, in an order by chance."""

    def more_parameters(self) -> dict[str, nn.Parameter]:
        """What learns beside the model, at the heads' rate."""
        return {}

    def run(self, folder: RunFolder | None = None, progress: Progress | None = None) -> None:
        """Trains and leaves the weights of the best evaluation in the model."""
        with torch.random.fork_rng():  # dropout knows no other generator than the global one
            torch.manual_seed(derive_seed(self._settings.seed, "reward/dropout"))
            run_loop(self, run=folder, watch=self._shown_on(progress))
        self.model.load_state_dict(self._best, strict=False)
        self.model.eval()

    @property
    def config(self) -> FittingConfig:
        """How the weights are fitted."""
        return self._settings.fitting

    @property
    def size(self) -> int:
        """Training examples."""
        return len(self.train)

    def optimizer(self) -> Optimizer:
        """Of backbone, heads and what learns beside them; weight decay is on the backbone's matrices only."""
        model, more = self.model, self.more_parameters()
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad} | more
        units = [model.heads, *([model.feature_heads] if model.feature_heads is not None else [])]
        of_heads = {id(p) for p in (*(p for unit in units for p in unit.parameters()), *more.values())}
        heads = {name for name, p in trained.items() if id(p) in of_heads}
        return Optimizer(
            trained,
            self.config,
            rates=dict.fromkeys(heads, self.config.head_learning_rate),
            undecayed=heads | {name for name, p in trained.items() if p.ndim <= 1},
        )

    def batches(self) -> list[list[Example]]:
        """Those of an epoch; evaluations between epochs leave dropout off."""
        self.model.train()
        return self.epoch()

    def parts(self, batch: Sequence[Example]) -> list[Sequence[Example]]:
        """The batch as it is: its losses are means over all of it."""
        return [batch]

    def loss(self, part: Sequence[Example], _batch: Sequence[Example]) -> tuple[Float[Tensor, ""], Terms]:
        """The loss of the batch."""
        total, values = self.batch_loss(part)
        return total, (total.detach(), values)

    def figures(self, terms: Sequence[Terms]) -> dict[str, float]:
        """The loss and what it is made of."""
        ((total, values),) = terms
        return {"loss": total.item(), **{name: value.item() for name, value in values.items()}}

    def evaluate(self) -> Evaluation:
        """On the held-out examples."""
        score, metrics = self.measure()
        return Evaluation(score, {"selection": score, **metrics})

    def keep(self) -> None:
        """Remembers the weights that training changes."""
        self._best = {n: p.detach().cpu().clone() for n, p in self.model.named_parameters() if p.requires_grad}

    def _shown_on(self, progress: Progress | None) -> Watch | None:
        if progress is None:
            return None
        task = progress.add_task(self.title, total=self.config.steps(self.size))
        return lambda step, metrics: progress.update(
            task, completed=step, description=f"{self.title}  loss {metrics['reward/loss']:.3f}"
        )
