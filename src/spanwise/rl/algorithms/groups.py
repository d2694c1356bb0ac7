"""Comparing responses to the same prompt, token by token, where rewards are dense.

A group is the responses to one prompt. At each token the reward to go of a response is compared with those of the
others at the token that corresponds to it. When all reward is on the last token and gamma is 1, every reward to go is
the response's reward and the comparison is the known one of whole responses (RLOO, GRPO). Pure functions.
Dimensions: B responses, T response tokens, N responses of a group.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.rl.algorithms.advantages import compact
from spanwise.rl.config import Match


def leave_one_out(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"], *, match: Match
) -> Float[Tensor, "b t"]:
    """The mean reward to go of the other responses of the group; of a response alone in its group, its own."""
    total, sizes = _group_sums(returns, response_mask, groups, match)
    return torch.where(sizes > 1, (total - returns) / (sizes - 1).clamp(min=1), returns).masked_fill(
        ~response_mask, 0.0
    )


def group_mean(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"], *, match: Match
) -> Float[Tensor, "b t"]:
    """The mean reward to go of all responses of the group."""
    total, sizes = _group_sums(returns, response_mask, groups, match)
    return (total / sizes).masked_fill(~response_mask, 0.0)


def group_deviation(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """The root of the variance between the group's rewards to go, averaged over positions; 0 in a group of one.

    Sample variance (over N - 1), as in TRL and verl. Not the deviation of whole rewards: two responses may earn the
    same in different places.
    """
    _, group, sizes = groups.unique(return_inverse=True, return_counts=True)
    seen, lengths = _held(returns, response_mask)
    counts = sizes[:, None].to(returns)
    mean = _sums(seen, group, sizes) / counts
    squares = _sums((seen - mean[group]).square(), group, sizes) / (counts - 1).clamp(min=1)
    longest = torch.zeros_like(sizes).scatter_reduce(0, group, lengths, "amax").clamp(min=1)
    counted = torch.arange(seen.shape[1], device=seen.device) < longest[:, None]
    return ((squares * counted).sum(1) / longest).sqrt()[group]


def _group_sums(
    returns: Tensor, response_mask: Tensor, groups: Tensor, match: Match
) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b 1"]]:
    """At each token, the sum of the group's rewards to go at the corresponding tokens; and the size of the group."""
    _, group, sizes = groups.unique(return_inverse=True, return_counts=True)
    seen, lengths = _held(returns, response_mask)
    places = (response_mask.cumsum(1) - 1).clamp(min=0)
    if match == "position":
        total = _sums(seen, group, sizes)[group].gather(1, places)
    else:
        total = torch.zeros_like(returns)
        for number in range(len(sizes)):
            rows = (group == number).nonzero()[:, 0]
            wanted = places[rows][:, None] * lengths[rows, None] // lengths[rows, None, None].clamp(min=1)
            total[rows] = seen[rows].expand(len(rows), -1, -1).gather(2, wanted).sum(1)
    return total, sizes[group, None].to(returns)


def _sums(x: Float[Tensor, "b t"], group: Int[Tensor, " b"], sizes: Int[Tensor, " g"]) -> Float[Tensor, "g t"]:
    """The sum of the rows of each group, always in one order, so that the same rows give the same bits."""
    order = group.argsort(stable=True)
    ordered = group[order]
    rank = torch.arange(len(x), device=x.device) - (sizes.cumsum(0) - sizes)[ordered]
    table = x.new_zeros(len(sizes), int(sizes.max()) if len(sizes) else 0, x.shape[1])
    table[ordered, rank] = x[order]
    return table.sum(1)


def _held(returns: Tensor, response_mask: Tensor) -> tuple[Float[Tensor, "b t"], Int[Tensor, " b"]]:
    """The returns of the tokens that count at the front of each row, the last of them held behind; their number."""
    lengths = response_mask.sum(1)
    places = torch.arange(returns.shape[1], device=returns.device)
    return compact(returns, response_mask).gather(
        1, torch.minimum(places, (lengths[:, None] - 1).clamp(min=0))
    ), lengths
