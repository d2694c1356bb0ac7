"""The training loop of a token-level reward model: pairs and labelled tokens in one batch, best epoch kept.

Knows examples and losses; nothing of files or of standardising (`token_train.py`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from spanwise.reward_models.fit import adamw
from spanwise.reward_models.losses import segment_loss
from spanwise.reward_models.model import SpanRewardModel
from spanwise.reward_models.token_config import TokenRewardConfig
from spanwise.reward_models.token_evaluate import collect_rewards, selection_score, token_metrics
from spanwise.reward_models.token_examples import SideTargets, TokenBatch, TokenExample, in_batches, token_batch
from spanwise.reward_models.token_losses import TokenSide, token_pair_loss, unchanged_share
from spanwise.seeding import torch_generator
from spanwise.tracking import RunFolder


class TokenFit:
    """One training run of `model`, in place."""

    def __init__(
        self, config: TokenRewardConfig, model: SpanRewardModel, pad_id: int, folder: RunFolder | None
    ) -> None:
        self.config = config
        self.model = model
        self.pad_id = pad_id
        self.folder = folder

    def run(self, train: Sequence[TokenExample], judge: Sequence[TokenExample], progress: Progress | None) -> None:
        """Trains and leaves the weights of the best epoch in the model."""
        fitting = self.config.fitting
        steps = fitting.epochs * -(-len(train) // fitting.batch_size)
        optimizer = adamw(self.model, fitting)
        schedule = get_linear_schedule_with_warmup(optimizer, round(fitting.warmup_share * steps), steps)
        shuffle = torch_generator(self.config.seed, "reward/shuffle")
        task = progress.add_task("token reward model", total=steps) if progress else None
        best, step = (float("-inf"), self._weights()), 0
        for _ in range(fitting.epochs):
            self.model.train()
            order: list[int] = torch.randperm(len(train), generator=shuffle).tolist()
            for group in in_batches([train[place] for place in order], fitting.batch_size):
                values = self._step(group, optimizer)
                schedule.step()
                step += 1
                self._log(step, values)
                if progress and task is not None:
                    progress.update(task, advance=1, description=f"token rewards  loss {values['reward/loss']:.3f}")
            score = self._judge(step, judge)
            if score >= best[0]:
                best = (score, self._weights())
        self.model.load_state_dict(best[1])
        self.model.eval()

    def losses(self, batch: TokenBatch) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """The loss of one batch and what to log of it."""
        rewards = self.model.score(batch.inputs.to(self.model.device))
        original, edited = self._side(rewards, batch.original), self._side(rewards, batch.edited)
        found = token_pair_loss(original, edited, batch.unchanged.to(rewards.device), self.config.loss)
        known = torch.ones_like(batch.labelled, dtype=torch.bool, device=rewards.device)
        labels = segment_loss(rewards[batch.labelled.to(rewards.device)], batch.correct.to(rewards.device), known)
        total = found.loss + self.config.label_weight * labels
        values = {"reward/loss": total.item(), "reward/loss_pairs": found.loss.item()}
        if len(batch.labelled):
            values["reward/loss_labels"] = labels.item()
        if len(found.difference):
            values["reward/consistency"] = found.consistency.item()
            values["reward/neutral"] = found.neutral.item()
            values["reward/unchanged_share"] = unchanged_share(original, edited).mean().item()
        return total, values

    def _step(self, group: Sequence[TokenExample], optimizer: torch.optim.Optimizer) -> dict[str, float]:
        (head,) = self.model.config.head_specs
        limit = self.model.config.window if self.model.packs else 0
        total, values = self.losses(token_batch(group, head, pad_id=self.pad_id, pack_to=limit))
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.fitting.max_grad_norm)
        optimizer.step()
        return values

    def _side(self, rewards: Float[Tensor, " n"], side: SideTargets) -> TokenSide:
        device = rewards.device
        return TokenSide(rewards[side.places.to(device)], side.response_mask.to(device), side.changed.to(device))

    def _judge(self, step: int, judge: Sequence[TokenExample]) -> float:
        outputs = collect_rewards(self.model, judge, batch_size=self.config.fitting.batch_size, pad_id=self.pad_id)
        metrics = token_metrics(outputs)
        score = selection_score(metrics)
        self._log(step, {"heldout/selection": score, **{f"heldout/{name}": one for name, one in metrics.items()}})
        return score

    def _log(self, step: int, values: dict[str, float]) -> None:
        if self.folder is not None:
            self.folder.log_metrics(step, values)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
