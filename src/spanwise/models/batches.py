"""Padded token batches between policies and trainers: texts encoded, prompts, responses, log-probabilities.

Masks are explicit and never derived from the ids, because many tokenizers pad with their end-of-text token.
Knows nothing of models. Shapes: b rows, l prompt tokens, t response tokens, k support tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass
class PromptBatch:
    """Prompts as token ids: left-padded for causal policies, right-padded for encoder-decoder ones."""

    ids: Int[Tensor, "b l"]
    mask: Bool[Tensor, "b l"]
    """True = a token of the prompt."""

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def lengths(self) -> Int[Tensor, " b"]:
        """Tokens of each prompt."""
        return self.mask.sum(1)

    def select(self, rows: Int[Tensor, " n"] | slice) -> "PromptBatch":
        """The given rows, without the columns that only the other rows needed."""
        ids, mask = self.ids[rows], self.mask[rows]
        used = mask.any(0)
        return PromptBatch(ids[:, used], mask[:, used])

    def repeat(self, times: int) -> "PromptBatch":
        """Every prompt `times` times in a row: the row order of `Policy.generate`."""
        return PromptBatch(self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))

    def to(self, device: torch.device | str) -> "PromptBatch":
        """The same batch on `device`."""
        return PromptBatch(self.ids.to(device), self.mask.to(device))


@dataclass
class ResponseBatch:
    """Sampled responses, right-padded; an end-of-text token is part of its response and counts."""

    ids: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    """True = the token counts."""
    logprobs: Float[Tensor, "b t"]
    """Log-probability of each token under the distribution that it was sampled from; 0 where masked."""
    truncated: Bool[Tensor, " b"]
    """True = the response ran into the length limit and has no end of its own."""
    support: Int[Tensor, "b t k"] | None = None
    """With top-k sampling: the k ids that could have been sampled at each step."""
    values: Float[Tensor, "b t"] | None = None
    """The value of the state in which each token was sampled, where a value head read it; 0 where masked."""

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def lengths(self) -> Int[Tensor, " b"]:
        """Tokens of each response."""
        return self.mask.sum(1)

    def select(self, rows: Int[Tensor, " n"]) -> "ResponseBatch":
        """The given rows, as wide as before."""
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> "ResponseBatch":
        """The same batch on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def clone(self) -> "ResponseBatch":
        """The same batch in memory of its own."""
        return self._each(torch.clone)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "ResponseBatch":
        support = None if self.support is None else change(self.support)
        values = None if self.values is None else change(self.values)
        return ResponseBatch(
            change(self.ids), change(self.mask), change(self.logprobs), change(self.truncated), support, values
        )

    def token_lists(self) -> list[list[int]]:
        """The real ids of each response, padding left out."""
        return [ids[mask].tolist() for ids, mask in zip(self.ids.cpu(), self.mask.cpu(), strict=True)]


def join_prompts(parts: Sequence[PromptBatch], *, pad_id: int, side: Literal["left", "right"]) -> PromptBatch:
    """All prompts of several batches, as wide as the widest and padded on `side`."""
    width, left = max(part.ids.shape[1] for part in parts), side == "left"
    return PromptBatch(
        ids=torch.cat([_widened(part.ids, width, value=pad_id, left=left) for part in parts]),
        mask=torch.cat([_widened(part.mask, width, left=left) for part in parts]),
    )


def join_responses(parts: Sequence[ResponseBatch], *, pad_id: int) -> ResponseBatch:
    """All responses of several batches, as wide as the widest."""
    width = max(part.ids.shape[1] for part in parts)
    supports = [part.support for part in parts if part.support is not None]
    values = [part.values for part in parts if part.values is not None]
    return ResponseBatch(
        ids=torch.cat([_widened(part.ids, width, value=pad_id) for part in parts]),
        mask=torch.cat([_widened(part.mask, width) for part in parts]),
        logprobs=torch.cat([_widened(part.logprobs, width) for part in parts]),
        truncated=torch.cat([part.truncated for part in parts]),
        support=torch.cat([_widened(x.flatten(1), width * x.shape[2]).unflatten(1, (width, -1)) for x in supports])
        if supports
        else None,
        values=torch.cat([_widened(part, width) for part in values]) if values else None,
    )


@dataclass
class Logprobs:
    """Log-probabilities of given response tokens, and the entropy of the distribution at each; 0 where masked."""

    logprobs: Float[Tensor, "b t"]
    entropy: Float[Tensor, "b t"] | None = None


def pad(
    rows: Sequence[Sequence[int]], *, value: int, side: Literal["left", "right"]
) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
    """Stacks ragged id lists into (ids, mask), as wide as the longest."""
    width = max((len(row) for row in rows), default=0)
    ids = torch.full((len(rows), width), value, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for number, row in enumerate(rows):
        columns = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[number, columns] = torch.tensor(row, dtype=torch.long)
        mask[number, columns] = True
    return ids, mask


def _widened(x: Tensor, width: int, *, value: int = 0, left: bool = False) -> Tensor:
    """The same rows with columns of `value` added up to `width`."""
    missing = width - x.shape[1]
    added = x.new_full((len(x), missing), value)
    return torch.cat([added, x] if left else [x, added], 1)
