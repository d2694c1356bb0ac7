"""The training loop of a reward model: one forward pass per batch of records, one loss per head, best epoch kept.

Knows examples and losses; nothing of files, labelling rules or calibration (`train.py`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.evaluate import collect_outputs, evaluate_outputs, selection_score
from spanwise.reward_models.examples import Example, TrainingBatch, bucketed, make_batch
from spanwise.reward_models.losses import pair_loss, segment_loss
from spanwise.reward_models.model import SpanRewardModel
from spanwise.seeding import torch_generator
from spanwise.tracking import RunFolder


class Fit:
    """One training run of `model`, in place."""

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
        fitting = self.config.fitting
        steps = fitting.epochs * -(-len(train) // fitting.batch_size)
        optimizer = self._optimizer()
        schedule = get_linear_schedule_with_warmup(optimizer, round(fitting.warmup_share * steps), steps)
        shuffle = torch_generator(self.config.seed, "reward/shuffle")
        task = progress.add_task("reward model", total=steps) if progress else None
        best, step = (float("-inf"), self._weights()), 0
        for _ in range(fitting.epochs):
            self.model.train()
            for group in bucketed(train, batch_size=fitting.batch_size, generator=shuffle):
                losses = self._step(self._batch(group), optimizer)
                schedule.step()
                step += 1
                self._log(step, losses)
                if progress and task is not None:
                    progress.update(task, advance=1, description=f"reward model  loss {losses['reward/loss']:.3f}")
            score = self._judge(step, judge)
            if score >= best[0]:
                best = (score, self._weights())
        self.model.load_state_dict(best[1])
        self.model.eval()

    def _batch(self, group: Sequence[Example]) -> TrainingBatch:
        config = self.model.config
        return make_batch(
            group, config.head_specs, pad_id=self.pad_id, pack_to=config.window if self.model.packs else 0
        )

    def _step(self, batch: TrainingBatch, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        losses = self.losses(batch)
        weights = self.config.loss_weights
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.fitting.max_grad_norm)
        optimizer.step()
        by_head = {f"reward/loss_{name}": loss.item() for name, loss in losses.items()}
        return {"reward/loss": total.item(), **by_head, "reward/order_offset": self.order_offset.item()}

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

    def _optimizer(self) -> torch.optim.AdamW:
        return adamw(self.model, self.config.fitting, [self.order_offset] * self.config.position_offset)

    def _judge(self, step: int, judge: Sequence[Example]) -> float:
        outputs = collect_outputs(self.model, judge, batch_size=self.config.fitting.batch_size, pad_id=self.pad_id)
        metrics = evaluate_outputs(outputs, self.model.config.head_specs)
        score = selection_score(metrics)
        flat = {f"heldout/{head}/{name}": value for head, values in metrics.items() for name, value in values.items()}
        self._log(step, {"heldout/selection": score, **flat})
        return score

    def _log(self, step: int, values: dict[str, float]) -> None:
        if self.folder is not None:
            self.folder.log_metrics(step, values)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}


def adamw(model: SpanRewardModel, fitting: FittingConfig, more: Sequence[nn.Parameter] = ()) -> torch.optim.AdamW:
    """The optimiser of backbone, heads and `more`, which learns at the heads' rate."""
    units = [model.heads, *([model.feature_heads] if model.feature_heads is not None else [])]
    heads = [p for unit in units for p in unit.parameters()] + list(more)
    body = list(model.backbone.parameters())
    groups = [
        {"params": [p for p in body if p.ndim > 1], "lr": fitting.lr, "weight_decay": fitting.weight_decay},
        {"params": [p for p in body if p.ndim <= 1], "lr": fitting.lr, "weight_decay": 0.0},
        {"params": heads, "lr": fitting.head_lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups)
