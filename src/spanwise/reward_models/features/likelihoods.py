"""How likely a language model finds the pieces of a response, as numbers that a reward head can read.

A small language model often knows what should have been said where its states do not tell whether it was said: the
log-probability that it gives to a value says more about its truth than the state after it. Knows nothing of heads,
labels or texts. Shapes: b rows, l tokens, n pieces, h hidden, v vocabulary.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.models import VocabularyHead, token_logprobs

LIKELIHOODS = ("logprob_sum", "logprob_mean", "logprob_lowest", "logprob_opening", "logprob_last")
"""Sum, mean and minimum over the tokens of a piece, the sum over its first OPENING tokens, and its last token's; a
whole response ends with the closing token, whose log-probability says whether the model would have gone on."""

OPENING = 4


def piece_likelihoods(
    hidden: Float[Tensor, "b l h"],
    head: VocabularyHead,
    ids: Int[Tensor, "b l"],
    pieces: Int[Tensor, "n 4"],
    branches: Int[Tensor, "b l"] | None,
) -> Float[Tensor, "n 5"]:
    """LIKELIHOODS of each piece (columns: row, head, first token, last token) by the vocabulary head.

    `branches` as in `packing.py`: the first token of a branch follows the last common one.
    """
    logprobs = _token_logprobs(hidden, head, ids, covered_tokens(pieces, ids), branches)
    row, _, first, last = pieces.unbind(1)
    size = last - first + 1
    offsets = torch.arange(int(size.max()) if len(size) else 0, device=ids.device)
    inside = offsets < size[:, None]
    inside_logprobs = logprobs[row[:, None], torch.where(inside, first[:, None] + offsets, 0)]
    summed = torch.where(inside, inside_logprobs, 0.0)
    return torch.stack(
        [
            summed.sum(1),
            summed.sum(1) / size,
            torch.where(inside, inside_logprobs, torch.inf).amin(1),
            summed[:, :OPENING].sum(1),
            logprobs[row, last],
        ],
        dim=1,
    )


def _token_logprobs(
    hidden: Float[Tensor, "b l h"],
    head: VocabularyHead,
    ids: Int[Tensor, "b l"],
    wanted: Bool[Tensor, "b l"],
    branches: Int[Tensor, "b l"] | None,
) -> Float[Tensor, "b l"]:
    """Log-probability of each wanted token given those that it may see; 0 elsewhere."""
    rows, places = wanted.nonzero(as_tuple=True)
    before = predecessors(ids, branches)[rows, places]
    wanted_logprobs, _ = token_logprobs(hidden[rows, before], head, ids[rows, places])
    logprobs = torch.zeros(ids.shape, dtype=wanted_logprobs.dtype, device=ids.device)
    logprobs[rows, places] = wanted_logprobs
    return logprobs


def predecessors(ids: Int[Tensor, "b l"], branches: Int[Tensor, "b l"] | None) -> Int[Tensor, "b l"]:
    """The place of the token before each token in its own response."""
    columns = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    before = (columns - 1).clamp(min=0)
    if branches is None:
        return before
    first_branch = torch.where(branches > 0, columns, ids.shape[1]).amin(1, keepdim=True)
    opens = torch.zeros_like(branches, dtype=torch.bool)
    opens[:, 1:] = (branches[:, 1:] > 0) & (branches[:, 1:] != branches[:, :-1])
    return torch.where(opens, (first_branch - 1).clamp(min=0), before)


def covered_tokens(pieces: Int[Tensor, "n 4"], ids: Int[Tensor, "b l"]) -> Bool[Tensor, "b l"]:
    """True for the tokens of any piece; never for the first token of a row, which follows nothing."""
    row, _, first, last = pieces.unbind(1)
    depth = torch.zeros(ids.shape[0], ids.shape[1] + 1, dtype=torch.long, device=ids.device)
    ones = torch.ones_like(row)
    depth.index_put_((row, first), ones, accumulate=True)
    depth.index_put_((row, last + 1), -ones, accumulate=True)
    covered = depth.cumsum(1)[:, :-1] > 0
    covered[:, 0] = False
    return covered


_QUANTITIES = ("logprob", "surprise")
"""The log-probability, and the same plus the entropy: how much less likely than was to be expected."""
_RANGES = ("so_far", "to_come", "clause", "response")
_FLOORS = (-1.0, -4.0)
"""Copies of the numbers that fall no further than this: whether a token is unlikely, rather than how much."""
_BASE = tuple(
    f"{quantity}{part}"
    for quantity in _QUANTITIES
    for part in ("", *(f"_{kind}_{where}" for where in _RANGES for kind in ("lowest", "sum")))
)
TOKEN_LIKELIHOODS = (
    *_BASE,
    *(f"{name}_above_{floor:g}" for floor in _FLOORS for name in _BASE),
    "logprob_opening",
    "closing",
    "logprob_closing",
)
"""What a token head reads, in order; the last three are the sum over the first tokens of the clause, whether the token
closes the response, and its log-probability if it does."""


def token_likelihoods(
    hidden: Float[Tensor, "b l h"],
    head: VocabularyHead,
    ids: Int[Tensor, "b l"],
    pieces: Int[Tensor, "n 4"],
    *,
    contexts: Int[Tensor, "n 4"],
    branches: Int[Tensor, "b l"] | None,
) -> Float[Tensor, "n f"]:
    """TOKEN_LIKELIHOODS of each piece; columns of `contexts`: first and last token of its clause and its response."""
    row, token = pieces[:, 0], pieces[:, 3]
    first, last, start, end = contexts.unbind(1)
    ranges = {"so_far": (first, token), "to_come": (token, last), "clause": (first, last), "response": (start, end)}
    responses = torch.stack([row, torch.zeros_like(row), start, end], 1)
    logprobs, surprise = _quantities(hidden, head, ids, covered_tokens(responses, ids), branches)
    base: list[Tensor] = []
    for values in (logprobs, surprise):
        base.append(values[row, token])
        for left, right in ranges.values():
            base += _summaries(values, row, left, right)
    quantities = torch.stack(base, 1)
    opening = _summaries(logprobs, row, first, torch.minimum(first + OPENING - 1, last))[1]
    closing = (first == end).to(quantities)  # a clause of its own at the end
    extra = torch.stack([opening, closing, closing * logprobs[row, token]], 1)
    return torch.cat([quantities, *(quantities.clamp(min=floor) for floor in _FLOORS), extra], 1)


def _quantities(
    hidden: Float[Tensor, "b l h"],
    head: VocabularyHead,
    ids: Int[Tensor, "b l"],
    wanted: Bool[Tensor, "b l"],
    branches: Int[Tensor, "b l"] | None,
) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
    """Log-probability and surprise of each wanted token given those that it may see; 0 elsewhere."""
    rows, places = wanted.nonzero(as_tuple=True)
    before = predecessors(ids, branches)[rows, places]
    wanted_logprobs, entropy = token_logprobs(hidden[rows, before], head, ids[rows, places], entropy=True)
    empty = torch.zeros(ids.shape, dtype=wanted_logprobs.dtype, device=ids.device)
    logprobs = empty.index_put((rows, places), wanted_logprobs)
    return logprobs, logprobs if entropy is None else logprobs + empty.index_put((rows, places), entropy)


def _summaries(
    values: Float[Tensor, "b l"], row: Int[Tensor, " n"], first: Int[Tensor, " n"], last: Int[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Lowest value and sum over the tokens from `first` to `last`."""
    size = last - first + 1
    offsets = torch.arange(int(size.max()) if len(size) else 0, device=values.device)
    inside = offsets < size[:, None]
    inside_values = values[row[:, None], torch.where(inside, first[:, None] + offsets, 0)]
    return torch.where(inside, inside_values, torch.inf).amin(1), torch.where(inside, inside_values, 0.0).sum(1)
