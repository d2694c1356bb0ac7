"""Comparing responses to the same prompt, token by token, where rewards are dense.

A group is the responses to one prompt. At each token the reward to go of a response is compared with those of the
others at the token that corresponds to it. When all reward is on the last token and gamma is 1, every reward to go is
the response's reward and the comparison is the known one of whole responses (RLOO, GRPO). Pure functions.
Dimensions: B responses, T response tokens, N responses of a group.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.rl.config import Match


def leave_one_out(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"], *, match: Match
) -> Float[Tensor, "b t"]:
    """The mean reward to go of the other responses of the group; of a response alone in its group, its own."""
    baseline = torch.zeros_like(returns)
    for rows, seen in _seen_by_group(returns, response_mask, groups, match):
        returns_to_go, others = seen.diagonal().T, len(rows) - 1
        baseline[rows] = returns_to_go if others == 0 else (seen.sum(1) - returns_to_go) / others
    return baseline.masked_fill(~response_mask, 0.0)


def group_mean(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"], *, match: Match
) -> Float[Tensor, "b t"]:
    """The mean reward to go of all responses of the group."""
    baseline = torch.zeros_like(returns)
    for rows, seen in _seen_by_group(returns, response_mask, groups, match):
        baseline[rows] = seen.mean(1)
    return baseline.masked_fill(~response_mask, 0.0)


def group_deviation(
    returns: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], groups: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """The root of the variance between the group's rewards to go, averaged over positions; 0 in a group of one.

    Sample variance (over N - 1), as in TRL and verl. Not the deviation of whole rewards: two responses may earn the
    same in different places.
    """
    deviation = returns.new_zeros(len(returns))
    compact, lengths = _compact(returns, response_mask)
    for group in groups.unique():
        rows = (groups == group).nonzero()[:, 0]
        if len(rows) > 1:
            longest = int(lengths[rows].max().clamp(min=1))
            places = torch.arange(longest, device=returns.device).expand(len(rows), -1)
            at = compact[rows].gather(1, torch.minimum(places, (lengths[rows, None] - 1).clamp(min=0)))
            deviation[rows] = at.var(0).mean().sqrt()
    return deviation


def _seen_by_group(
    returns: Tensor, response_mask: Tensor, groups: Tensor, match: Match
) -> Iterator[tuple[Int[Tensor, " n"], Float[Tensor, "n n t"]]]:
    """Each group's rows, and for each of them (first axis) the group's rewards to go (second) at its tokens."""
    compact, lengths = _compact(returns, response_mask)
    places = (response_mask.cumsum(1) - 1).clamp(min=0)
    for group in groups.unique():
        rows = (groups == group).nonzero()[:, 0]
        mine, theirs = lengths[rows, None, None].clamp(min=1), lengths[None, rows, None]
        wanted = places[rows][:, None, :].expand(-1, len(rows), -1)
        if match == "relative":
            wanted = wanted * theirs // mine
        wanted = torch.minimum(wanted, (theirs - 1).clamp(min=0))
        yield rows, compact[rows].expand(len(rows), -1, -1).gather(2, wanted)


def _compact(returns: Tensor, response_mask: Tensor) -> tuple[Float[Tensor, "b t"], Int[Tensor, " b"]]:
    """The returns of the tokens that count, moved to the front of each row, and how many there are."""
    order = (~response_mask).to(torch.uint8).argsort(dim=1, stable=True)
    return returns.gather(1, order), response_mask.sum(1)
