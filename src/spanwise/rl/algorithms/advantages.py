"""From token rewards to advantages over the tokens that count: with a value model (GAE) or without (rewards to go).

Means, variances and whitening over a mask stand here too. Pure functions; knows nothing of models, losses or where
rewards come from. Dimensions: B batch, T response tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

VARIANCE_FLOOR = 1e-8


class Advantages(NamedTuple):
    """What a token was better than expected, and what the value model should have said there."""

    advantages: Float[Tensor, "b t"]
    returns: Float[Tensor, "b t"]


def masked_gae(
    token_rewards: Float[Tensor, "b t"],
    values: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    gamma: float,
    gae_lambda: float | Float[Tensor, " b"],
) -> Advantages:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16) along the True positions of each row.

    A_t = sum over k >= 0 of (gamma * gae_lambda)**k * delta_{t+k}, delta_t = r_t + gamma * V_{t+1} - V_t, where t+1 is
    the next True position and both V and delta are 0 after the last one. Returns are A_t + V_t. False positions are 0
    and what lies there has no influence.
    """
    rewards, states = compact(token_rewards, response_mask), compact(values, response_mask)
    after = functional.pad(states[:, 1:], (0, 1)) if states.shape[1] else states
    credit = _decayed_sums(rewards + gamma * after - states, gamma * gae_lambda)
    return Advantages(spread_out(credit, response_mask), spread_out(credit + states, response_mask))


def _decayed_sums(x: Float[Tensor, "b t"], decay: float | Float[Tensor, " b"]) -> Float[Tensor, "b t"]:
    """y_t = x_t + decay * y_{t+1}: after k rounds every place holds the terms of its next 2**k places."""
    factor = torch.as_tensor(decay, dtype=x.dtype, device=x.device).reshape(-1, 1)
    reach = 1
    while reach < x.shape[1]:
        x = x + functional.pad(factor * x[:, reach:], (0, reach))
        factor, reach = factor * factor, 2 * reach
    return x


def compact(x: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """What stands at the True positions of each row, moved to its front, in order; 0 behind."""
    width = x.shape[1]
    places = torch.where(response_mask, response_mask.cumsum(1) - 1, width)
    return x.new_zeros(len(x), width + 1).scatter_(1, places, x)[:, :width]


def spread_out(x: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Undoes `compact`: back to the True positions; 0 at the others."""
    places = (response_mask.cumsum(1) - 1).clamp(min=0)
    return x.gather(1, places).masked_fill(~response_mask, 0.0)


def length_adaptive_lambda(response_mask: Bool[Tensor, "b t"], *, alpha: float) -> Float[Tensor, " b"]:
    """1 - 1 / (alpha * length) of each response, at least 0: longer responses hand rewards further back.

    Yue et al. 2025 (VAPO).
    """
    return (1.0 - 1.0 / (alpha * response_mask.sum(1).clamp(min=1).float())).clamp(min=0.0)


def rewards_to_go(
    token_rewards: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], *, gamma: float
) -> Float[Tensor, "b t"]:
    """G_t = r_t + gamma * G_{t+1} along the True positions of each row: GAE with lambda 1 and no value model."""
    silent = torch.zeros_like(token_rewards)
    return masked_gae(token_rewards, silent, response_mask, gamma=gamma, gae_lambda=1.0).returns


def masked_mean(x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Mean over the True positions; 0 when there is none."""
    counted = x[mask]
    return counted.sum() / max(len(counted), 1)


def masked_variance(x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Population variance over the True positions: the mean squared distance from their mean, never negative."""
    return masked_mean((x - masked_mean(x, mask)).square(), mask)


def masked_normalize(
    x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"], *, center: bool = True
) -> Float[Tensor, "b t"]:
    """Divides by the standard deviation over the True positions; with `center` also takes their mean away first.

    y = (x - mean) / sqrt(var + 1e-8), or y = x / sqrt(var + 1e-8) without centring: then a zero stays a zero, so that
    tokens without a reward stay without one. False positions become 0.
    """
    shifted = x - masked_mean(x, mask) if center else x
    return (shifted * torch.rsqrt(masked_variance(x, mask) + VARIANCE_FLOOR)).masked_fill(~mask, 0.0)
