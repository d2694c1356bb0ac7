"""The losses of PPO: clipped policy loss, clipped value loss, and how token losses become one number.

Pure functions; knows nothing of models, optimisers or minibatches. Every sum is divided by `tokens`, the number of
tokens that count in the whole minibatch, so that the parts of a minibatch add up to it exactly: losses and metrics of
micro-batches are summed, never averaged. Dimensions: B batch, T response tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class LossOutputs(NamedTuple):
    """A loss to differentiate and detached figures to log; both are shares of the whole minibatch and add up."""

    loss: Float[Tensor, ""]
    metrics: dict[str, Float[Tensor, ""]]


def token_mean(
    token_losses: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"], *, tokens: int
) -> Float[Tensor, ""]:
    """Sum over the True positions, divided by `tokens`: this part's share of the minibatch's mean token loss."""
    return token_losses.masked_fill(~response_mask, 0.0).sum() / max(tokens, 1)


def clipped_policy_loss(
    logprobs: Float[Tensor, "b t"],
    old_logprobs: Float[Tensor, "b t"],
    advantages: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    clip_range: float,
    tokens: int,
) -> LossOutputs:
    """Mean of max(-A * ratio, -A * clip(ratio, 1 - clip_range, 1 + clip_range)), ratio = exp(logprobs - old_logprobs).

    Schulman et al. 2017, equation 7, with the sign of a loss.
    """
    log_ratio = (logprobs - old_logprobs).masked_fill(~response_mask, 0.0)
    ratio = log_ratio.exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    loss = token_mean(torch.maximum(unclipped, clipped), response_mask, tokens=tokens)
    with torch.no_grad():
        metrics = {
            "policy/loss": loss.detach(),
            "policy/ratio": token_mean(ratio, response_mask, tokens=tokens),
            "policy/clip_fraction": token_mean((clipped > unclipped).to(ratio.dtype), response_mask, tokens=tokens),
            "policy/approx_kl": token_mean(log_ratio.expm1() - log_ratio, response_mask, tokens=tokens),
        }
    return LossOutputs(loss, metrics)


def clipped_value_loss(
    values: Float[Tensor, "b t"],
    old_values: Float[Tensor, "b t"],
    returns: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    clip_range_value: float,
    tokens: int,
) -> LossOutputs:
    """Half the mean of max((V - R)**2, (clip(V, old_V - clip_range_value, old_V + clip_range_value) - R)**2)."""
    near = torch.clamp(values, old_values - clip_range_value, old_values + clip_range_value)
    unclipped, clipped = (values - returns).square(), (near - returns).square()
    loss = 0.5 * token_mean(torch.maximum(unclipped, clipped), response_mask, tokens=tokens)
    with torch.no_grad():
        metrics = {
            "value/loss": loss.detach(),
            "value/clip_fraction": token_mean((clipped > unclipped).to(values.dtype), response_mask, tokens=tokens),
        }
    return LossOutputs(loss, metrics)
