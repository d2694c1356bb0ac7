"""Training a reward model by gradient: one forward pass per batch of records, one loss per head.

Knows examples and losses; nothing of files, labelling rules or calibration (`train.py`), nor of epochs (`epochs.py`).
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn

from spanwise.core import RunFolder
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.data import Example, TrainingBatch, bucketed, make_batch
from spanwise.reward_models.fitting.epochs import run_epochs
from spanwise.reward_models.fitting.evaluate import collect_outputs, evaluate_outputs, selection_score
from spanwise.reward_models.network import SpanRewardModel, pair_loss, segment_loss


class Fit:
    """One training run of `model`, in place."""

    title = "reward model"

    def __init__(
        self, config: RewardModelConfig, model: SpanRewardModel, pad_id: int, folder: RunFolder | None
    ) -> None:
        self.config = config
        self.model = model
        self.pad_id = pad_id
        self.folder = folder
        self.order_offset = nn.Parameter(torch.zeros((), device=model.device))

    def run(self, train: Sequence[Example], judge: Sequence[Example], progress: Progress | None) -> None:
        """Trains and leaves the weights of the best epoch in the model."""
        run_epochs(self, train, judge, folder=self.folder, progress=progress)

    def optimizer(self) -> torch.optim.AdamW:
        """The offset of the order learns where the config asks for it."""
        return adamw(self.model, self.config.fitting, [self.order_offset] * self.config.position_offset)

    def batches(self, train: Sequence[Example], shuffle: torch.Generator) -> Iterable[Sequence[Example]]:
        """Batches in random order, of similar length within."""
        return bucketed(train, batch_size=self.config.fitting.batch_size, generator=shuffle)

    def loss(self, group: Sequence[Example]) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The weighted sum of the heads' losses, and each of them to log."""
        losses = self.losses(self._batch(group))
        weights = self.config.loss_weights
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        by_head = {f"reward/loss_{name}": loss for name, loss in losses.items()}
        return total, {**by_head, "reward/order_offset": self.order_offset}

    def judge(self, examples: Sequence[Example]) -> tuple[float, dict[str, float]]:
        """Selection score and held-out metrics of every head."""
        outputs = collect_outputs(self.model, examples, batch_size=self.config.fitting.batch_size, pad_id=self.pad_id)
        metrics = evaluate_outputs(outputs, self.model.config.head_specs)
        flat = {f"{head}/{name}": value for head, values in metrics.items() for name, value in values.items()}
        return selection_score(metrics), flat

    def losses(self, batch: TrainingBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each head on one batch."""
        device = self.model.device
        logits = self.model.score(batch.inputs.to(device))
        correct, known = batch.correct.to(device), batch.label_mask.to(device)
        found: dict[str, Float[Tensor, ""]] = {}
        for number, head in enumerate(self.model.config.head_specs):
            if head.kind == "segment":
                mine = (batch.inputs.pieces[:, 1] == number).to(device)
                found[head.name] = segment_loss(logits[mine], correct[mine], known[mine])
            else:
                pairs = batch.pairs[head.name]
                offset = self.order_offset * pairs.order.to(device)
                found[head.name] = pair_loss(logits[pairs.better], logits[pairs.worse], offset)
        return found

    def _batch(self, group: Sequence[Example]) -> TrainingBatch:
        config = self.model.config
        return make_batch(
            group, config.head_specs, pad_id=self.pad_id, pack_to=config.window if self.model.packs else 0
        )


def adamw(model: SpanRewardModel, fitting: FittingConfig, more: Sequence[nn.Parameter] = ()) -> torch.optim.AdamW:
    """The optimiser of backbone, heads and `more`, which learns at the heads' rate."""
    units = [model.heads, *([model.feature_heads] if model.feature_heads is not None else [])]
    heads = [p for unit in units for p in unit.parameters()] + list(more)
    body = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in body if p.ndim > 1], "lr": fitting.lr, "weight_decay": fitting.weight_decay},
        {"params": [p for p in body if p.ndim <= 1], "lr": fitting.lr, "weight_decay": 0.0},
        {"params": heads, "lr": fitting.head_lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups)
