"""Drawing responses token by token with a cache and an explicit generator.

The log-probability that goes with each token is the one it was drawn with: after temperature and, with top-k, after
restriction to the k likeliest ids, which are kept as the token's support. Replaying temperature and support later
(`Policy.logprobs`) gives old, new and reference log-probabilities over one distribution; Wu et al. sampled from one
and took log-probabilities from another (wu2023.md W7). Knows nothing of text or rewards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spanwise.models.batches import ResponseBatch

BLOCK = 256
"""Tokens whose probabilities are summed before it is known in which block the drawn one lies."""
SHRINK_BELOW = 0.8
"""The batch drops its finished rows when less than this share of it is still unfinished; the copy costs a step."""


@dataclass
class Draw:
    """One token per row, its log-probability, and the ids it was drawn from (None = all)."""

    tokens: Int[Tensor, " b"]
    logprobs: Float[Tensor, " b"]
    support: Int[Tensor, "b k"] | None
    values: Float[Tensor, " b"] | None = None
    """Of the states in which the tokens were drawn, where somebody asks for them."""


def draw(logits: Float[Tensor, "b v"], top_k: int, generator: torch.Generator, top_p: float = 1.0) -> Draw:
    """Draws one token per row from softmax(logits), restricted to the `top_k` largest (0 = all) and then to `top_p`."""
    support = None
    if 0 < top_k < logits.shape[1]:
        logits, support = logits.topk(top_k, 1)
    if top_p < 1:
        logits = _nucleus(logits.log_softmax(1), top_p)
    probabilities = logits.softmax(1)
    # Inverting the distribution function takes one random number per row where multinomial takes one per logit.
    level = torch.rand((len(logits), 1), generator=generator, dtype=torch.float64, device=generator.device)
    choice = inverted(probabilities, level.to(logits.device))
    tokens = choice if support is None else support.gather(1, choice)
    return Draw(tokens[:, 0], probabilities.gather(1, choice)[:, 0].log(), support)


def inverted(weights: Float[Tensor, "b v"], level: Float[Tensor, "b 1"]) -> Int[Tensor, "b 1"]:
    """The first place at which the sum of a row's weights exceeds this share, in [0, 1), of the whole row's sum.

    Sums are in double precision: of blocks first, and then token by token within the block in which the place lies. A
    row with weights that are no numbers gets any place.
    """
    size = weights.shape[1]
    whole = size - size % BLOCK
    sums = weights[:, :whole].unflatten(1, (-1, BLOCK)).sum(2, dtype=torch.float64)
    sums = torch.cat([sums, weights[:, whole:].sum(1, keepdim=True, dtype=torch.float64)], 1)
    ends = sums.cumsum(1)
    share = torch.minimum(level * ends[:, -1:], _just_below(ends[:, -1:]))
    block = torch.searchsorted(ends, share, right=True).clamp(max=ends.shape[1] - 1)
    columns = block * BLOCK + torch.arange(BLOCK, device=weights.device)
    within = weights.gather(1, columns.clamp(max=size - 1)).masked_fill(columns >= size, 0.0)
    within = within.cumsum(1, dtype=torch.float64)
    left = share - (ends.gather(1, block) - sums.gather(1, block))
    place = torch.searchsorted(within, torch.minimum(left, _just_below(within[:, -1:])), right=True)
    return (block * BLOCK + place).clamp(max=size - 1)


def _just_below(sums: Float[Tensor, "b 1"]) -> Float[Tensor, "b 1"]:
    """What no rounding may reach, or a place would be found that has no weight."""
    return torch.nextafter(sums, torch.zeros_like(sums))


def _nucleus(logprobs: Float[Tensor, "b v"], top_p: float) -> Float[Tensor, "b v"]:
    """-inf for all but the fewest likeliest tokens that together reach the probability `top_p` (Holtzman 2020)."""
    ordered, ids = logprobs.sort(dim=1, descending=True, stable=True)
    before = ordered.exp().cumsum(1) - ordered.exp()
    before[:, 0] = 0  # the likeliest token stays whatever rounding says
    return logprobs.masked_fill((before >= top_p).scatter(1, ids, before >= top_p), -torch.inf)


def pick_likeliest(logits: Float[Tensor, "b v"]) -> Draw:
    """The likeliest token of each row, with its log-probability among all tokens."""
    logprobs, tokens = logits.log_softmax(1).max(1)
    return Draw(tokens, logprobs, None)


@runtime_checkable
class Continues(Protocol):
    """What is decoded step by step: one policy's `Decoding`, or several that write the same tokens."""

    @property
    def hidden(self) -> Float[Tensor, "b h"]:
        """The states that predict the next tokens."""
        ...

    def step(self, tokens: Int[Tensor, " b"], /) -> None:
        """Writes one token in each row."""
        ...

    def keep(self, rows: Int[Tensor, " n"], /) -> None:
        """Drops all other rows."""
        ...


def continue_until_end(
    decoding: Continues,
    choose: Callable[[Tensor, int], Draw],
    *,
    max_new_tokens: int,
    eos_ids: Int[Tensor, " e"],
    pad_id: int,
) -> ResponseBatch:
    """Continues every row until one of `eos_ids` or the length limit; finished rows leave the batch.

    `choose` turns hidden states (b, h) into the token at the given place of every row.
    """
    rows = torch.arange(decoding.hidden.shape[0], device=decoding.hidden.device)
    unfinished = torch.ones_like(rows, dtype=torch.bool)
    written = _Written(len(rows), max_new_tokens, rows.device)
    for step in range(max_new_tokens):
        drawn = choose(decoding.hidden, step)
        ended = unfinished & torch.isin(drawn.tokens, eos_ids)
        written.put(step, rows, drawn, ended)
        unfinished = unfinished & ~ended
        left = int(unfinished.sum())
        if left == 0 or step + 1 == max_new_tokens:
            break
        tokens = drawn.tokens
        if left < SHRINK_BELOW * len(rows):
            kept = unfinished.nonzero()[:, 0]
            decoding.keep(kept)
            rows, tokens, unfinished = rows[kept], tokens[kept], unfinished[kept]
        decoding.step(tokens)
    return written.batch(pad_id)


class _Written:
    """What was drawn so far, in the order of the first rows, whatever rows are left now."""

    def __init__(self, rows: int, max_new_tokens: int, device: torch.device) -> None:
        self._ids = torch.zeros((rows, max_new_tokens), dtype=torch.long, device=device)
        self._logprobs = torch.zeros((rows, max_new_tokens), device=device)
        self._ends = torch.zeros(rows, dtype=torch.long, device=device)
        self._support: Tensor | None = None
        self._values: Tensor | None = None
        self._steps = 0

    def put(self, step: int, rows: Tensor, drawn: Draw, ended: Tensor) -> None:
        self._ids[rows, step] = drawn.tokens
        self._logprobs[rows, step] = drawn.logprobs.float()
        self._ends[rows[ended]] = step + 1
        if drawn.support is not None:
            if self._support is None:
                self._support = self._ids.new_zeros((*self._ids.shape, drawn.support.shape[1]))
            self._support[rows, step] = drawn.support
        if drawn.values is not None:
            if self._values is None:
                self._values = torch.zeros_like(self._logprobs)
            self._values[rows, step] = drawn.values.float()
        self._steps = step + 1

    def batch(self, pad_id: int) -> ResponseBatch:
        """Rows that went on after their end are cut off there."""
        truncated = self._ends == 0
        lengths = torch.where(truncated, self._steps, self._ends)
        mask = torch.arange(self._steps, device=lengths.device) < lengths[:, None]
        return ResponseBatch(
            ids=self._ids[:, : self._steps].masked_fill(~mask, pad_id),
            mask=mask,
            logprobs=self._logprobs[:, : self._steps].masked_fill(~mask, 0.0),
            truncated=truncated,
            support=None if self._support is None else self._support[:, : self._steps].contiguous(),
            values=None if self._values is None else self._values[:, : self._steps].masked_fill(~mask, 0.0),
        )
