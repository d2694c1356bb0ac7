"""Training a token-level reward model by gradient: pairs and labelled tokens in one batch.

Knows examples and losses; nothing of files or of standardising (`token_train.py`), nor of epochs (`epochs.py`).
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from rich.progress import Progress
from torch import Tensor

from spanwise.core import RunFolder
from spanwise.reward_models.data import SideTargets, TokenBatch, TokenExample, in_batches, token_batch
from spanwise.reward_models.fitting.epochs import run_epochs
from spanwise.reward_models.fitting.fit import adamw
from spanwise.reward_models.fitting.token_evaluate import collect_rewards, selection_score, token_metrics
from spanwise.reward_models.network import SpanRewardModel, TokenSide, segment_loss, token_pair_loss, unchanged_share
from spanwise.reward_models.token_config import TokenRewardConfig


class TokenFit:
    """One training run of `model`, in place."""

    title = "token rewards"

    def __init__(
        self, config: TokenRewardConfig, model: SpanRewardModel, pad_id: int, folder: RunFolder | None
    ) -> None:
        self.config = config
        self.model = model
        self.pad_id = pad_id
        self.folder = folder

    def run(self, train: Sequence[TokenExample], judge: Sequence[TokenExample], progress: Progress | None) -> None:
        """Trains and leaves the weights of the best epoch in the model."""
        run_epochs(self, train, judge, folder=self.folder, progress=progress)

    def optimizer(self) -> torch.optim.AdamW:
        """Backbone and head."""
        return adamw(self.model, self.config.fitting)

    def batches(self, train: Sequence[TokenExample], shuffle: torch.Generator) -> Iterable[Sequence[TokenExample]]:
        """Batches in random order."""
        order: list[int] = torch.randperm(len(train), generator=shuffle).tolist()
        return in_batches([train[place] for place in order], self.config.fitting.batch_size)

    def loss(self, group: Sequence[TokenExample]) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss of examples not yet put into a batch, and what to log of it."""
        (head,) = self.model.config.head_specs
        limit = self.model.config.window if self.model.packs else 0
        return self.losses(token_batch(group, head, pad_id=self.pad_id, pack_to=limit))

    def judge(self, examples: Sequence[TokenExample]) -> tuple[float, dict[str, float]]:
        """Selection score and held-out metrics."""
        outputs = collect_rewards(self.model, examples, batch_size=self.config.fitting.batch_size, pad_id=self.pad_id)
        metrics = token_metrics(outputs)
        return selection_score(metrics), metrics

    def losses(self, batch: TokenBatch) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss of one batch and what to log of it."""
        rewards = self.model.score(batch.inputs.to(self.model.device))
        original, edited = self._side(rewards, batch.original), self._side(rewards, batch.edited)
        found = token_pair_loss(original, edited, batch.unchanged.to(rewards.device), self.config.loss)
        known = torch.ones_like(batch.labelled, dtype=torch.bool, device=rewards.device)
        labels = segment_loss(rewards[batch.labelled.to(rewards.device)], batch.correct.to(rewards.device), known)
        total = found.loss + self.config.label_weight * labels
        values = {"reward/loss_pairs": found.loss}
        if len(batch.labelled):
            values["reward/loss_labels"] = labels
        if len(found.difference):
            values["reward/consistency"] = found.consistency
            values["reward/neutral"] = found.neutral
            values["reward/unchanged_share"] = unchanged_share(original, edited).mean()
        return total, values

    def _side(self, rewards: Float[Tensor, " n"], side: SideTargets) -> TokenSide:
        device = rewards.device
        return TokenSide(rewards[side.places.to(device)], side.response_mask.to(device), side.changed.to(device))
