"""The average of policies' weights: between policies that were trained from one start lies a policy between them.

Rewarded soups (Rame et al. 2023, arXiv 2306.04488) trains one policy per reward and mixes them afterwards, by any
shares, at no further cost. Knows nothing of rewards.
"""

import copy
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from spanwise.core import CheckpointError
from spanwise.models import Policy


@torch.no_grad()
def average_policies(policies: Sequence[Policy], shares: Sequence[float]) -> Policy:
    """A policy whose every weight is the sum of `shares` times the policies' weights; shares sum to 1.

    Raises CheckpointError when the policies do not have the same weights by name and shape, or share an adapter's base.
    """
    if len(policies) != len(shares) or not policies:
        raise CheckpointError(f"{len(policies)} policies and {len(shares)} shares; give one share for each policy.")
    if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise CheckpointError(f"The shares sum to {sum(shares):g}; give shares that sum to 1.")
    if any(policy.role is not None for policy in policies):
        raise CheckpointError("A policy with an adapter on shared weights cannot be averaged; save it and load it.")
    states = [cast("nn.Module", policy.model).state_dict() for policy in policies]
    for state in states[1:]:
        _check_same(states[0], state)
    mixed = {name: _mix([state[name] for state in states], shares) for name in states[0]}
    model = copy.deepcopy(policies[0].model)
    cast("nn.Module", model).load_state_dict(mixed)
    return Policy(model, policies[0].tokenizer)


def _mix(tensors: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    """Summed in double precision; what is no weight (a counter, a table of ids) is the first's."""
    if not tensors[0].is_floating_point():
        return tensors[0].clone()
    total = sum(share * tensor.double() for share, tensor in zip(shares, tensors, strict=True))
    return cast("torch.Tensor", total).to(tensors[0].dtype)


def _check_same(first: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name in first.keys() | other.keys():
        shapes = [tuple(state[name].shape) if name in state else "none" for state in (first, other)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"The policies cannot be averaged: weight {name} is {shapes[0]} in one and {shapes[1]} in another; "
                "take policies that were trained from one start."
            )
