"""Token rewards to advantages without a value model, for any engine: tensors in, tensors out.

Our own GRPO and RLOO and the adapters to other engines (`spanwise.integrations`) all call `dense_advantages`, so that
the same rollouts and rewards give the same advantages wherever they are trained on. Dimensions: B responses, T tokens.
"""

from collections.abc import Hashable, Iterable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.core import DataError
from spanwise.rl.algorithms.advantages import Advantages, rewards_to_go
from spanwise.rl.algorithms.groups import group_deviation, group_mean, leave_one_out
from spanwise.rl.config import DenseEstimator, Match

DEVIATION_FLOOR = 1e-6


def dense_advantages(
    rewards: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    groups: Int[Tensor, " b"],
    *,
    dropped: Bool[Tensor, " b"] | None = None,
    estimator: DenseEstimator = "grpo",
    match: Match = "position",
    gamma: float = 1.0,
    divide_by_std: bool = True,
) -> Advantages:
    """Each token's reward to go compared with those of the other responses of its group.

    Responses may be padded on either side and their masks may have holes; only the order of the True positions counts.
    `dropped` responses and those without a True position get 0 and are left out of their group's statistics; a response
    that is alone in its group then gets 0. `groups` numbers the rows, the same for responses to one prompt.

    grpo: minus the group's mean, and with `divide_by_std` over the group's deviation + 1e-6. rloo: minus the mean of
    the others. Returns the rewards to go beside the advantages. Raises DataError for a reward on a token that does not
    count, which would be lost in silence, and for one that is no number.
    """
    kept = response_mask.any(1) if dropped is None else response_mask.any(1) & ~dropped
    check_placed(rewards, response_mask, kept)
    compare = partial(_compared, estimator=estimator, match=match, gamma=gamma, divide_by_std=divide_by_std)
    if bool(kept.all()):
        return compare(rewards, response_mask, groups)
    part = compare(rewards[kept], response_mask[kept], groups[kept])
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    advantages[kept], returns[kept] = part
    return Advantages(advantages, returns)


def check_placed(
    rewards: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], kept: Bool[Tensor, " b"] | None = None
) -> None:
    """Raises DataError unless every reward of the rows `kept` (all) is a number on a token that counts."""
    lost = torch.where(response_mask, ~rewards.isfinite(), rewards != 0)
    if kept is not None:
        lost = lost & kept[:, None]
    if not bool(lost.any()):
        return
    row, token = (int(index) for index in lost.nonzero()[0])
    value = float(rewards[row, token])
    if bool(response_mask[row, token]):
        raise DataError(f"Response {row}, token {token}: the reward {value} is no number; mend its source.")
    raise DataError(
        f"Response {row}, token {token}: a reward of {value:g} on a token that the mask leaves out would be lost; "
        "reward only tokens that the policy wrote, or leave the response out."
    )


def group_numbers(names: Iterable[Hashable]) -> Int[Tensor, " b"]:
    """A number for each name, the same for equal names: an engine's prompt ids as `groups`."""
    known: dict[Hashable, int] = {}
    return torch.tensor([known.setdefault(name, len(known)) for name in names], dtype=torch.long)


def _compared(
    rewards: Tensor,
    response_mask: Tensor,
    groups: Tensor,
    *,
    estimator: DenseEstimator,
    match: Match,
    gamma: float,
    divide_by_std: bool,
) -> Advantages:
    returns = rewards_to_go(rewards, response_mask, gamma=gamma)
    if estimator == "rloo":
        return Advantages(returns - leave_one_out(returns, response_mask, groups, match=match), returns)
    advantages = returns - group_mean(returns, response_mask, groups, match=match)
    if divide_by_std:
        advantages = advantages / (group_deviation(returns, response_mask, groups)[:, None] + DEVIATION_FLOOR)
    return Advantages(advantages, returns)
