"""The losses: clipped policy loss, KL loss, likelihood, clipped value loss, and how token losses become one number.

Pure functions; knows nothing of models, optimisers or minibatches. Every sum is divided by `tokens`, the number of
tokens that count in the whole minibatch, so that the parts of a minibatch add up to it exactly: losses and metrics of
micro-batches are summed, never averaged. Dimensions: B batch, T response tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from spanwise.rl.algorithms.kl import token_kl
from spanwise.rl.config import KLEstimator, LossAggregation


class LossOutputs(NamedTuple):
    """A loss to differentiate and detached figures to log; both are shares of the whole minibatch and add up."""

    loss: Float[Tensor, ""]
    metrics: dict[str, Float[Tensor, ""]]


def token_mean(
    token_losses: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    tokens: int,
    weights: Float[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """Sum over the True positions, divided by `tokens`: this part's share of the minibatch's mean token loss.

    `weights` (see `response_weights`) multiply the losses of each response.
    """
    counted = token_losses.masked_fill(~response_mask, 0.0)
    return (counted if weights is None else counted * weights[:, None]).sum() / max(tokens, 1)


def response_weights(
    response_mask: Bool[Tensor, "b t"], aggregation: LossAggregation, *, longest: int
) -> Float[Tensor, " b"] | None:
    """What the losses of each response are multiplied by, so that their `token_mean` is the aggregation asked for.

    `response_mask` is that of the whole minibatch, `longest` the greatest length allowed.
    """
    if aggregation == "token-mean":
        return None
    lengths = response_mask.sum(1).float()
    per_response = lengths.sum() / max(len(lengths), 1)
    if aggregation == "seq-mean-token-sum":
        return per_response.expand(len(lengths))
    if aggregation == "seq-mean-token-mean":
        return per_response / lengths.clamp(min=1.0)
    return (per_response / longest).expand(len(lengths))


def clipped_policy_loss(
    logprobs: Float[Tensor, "b t"],
    old_logprobs: Float[Tensor, "b t"],
    advantages: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    clip_range: float,
    tokens: int,
    clip_range_high: float | None = None,
    dual_clip: float | None = None,
    weights: Float[Tensor, " b"] | None = None,
) -> LossOutputs:
    """Mean of max(-A * ratio, -A * clip(ratio, 1 - clip_range, 1 + clip_range)), ratio = exp(logprobs - old_logprobs).

    Schulman et al. 2017, equation 7, with the sign of a loss. `clip_range_high` is the upper range where it differs
    (Yu et al. 2025, DAPO). With `dual_clip` the loss of a token with A < 0 is at most -A * dual_clip, so that a ratio
    which exploded cannot (Ye et al. 2020).
    """
    log_ratio = (logprobs - old_logprobs).masked_fill(~response_mask, 0.0)
    ratio = log_ratio.exp()
    unclipped = -advantages * ratio
    high = clip_range if clip_range_high is None else clip_range_high
    clipped = -advantages * ratio.clamp(1.0 - clip_range, 1.0 + high)
    token_losses = torch.maximum(unclipped, clipped)
    if dual_clip is not None:
        token_losses = torch.where(advantages < 0, token_losses.minimum(-advantages * dual_clip), token_losses)
    loss = token_mean(token_losses, response_mask, tokens=tokens, weights=weights)
    with torch.no_grad():
        metrics = {
            "policy/loss": loss.detach(),
            "policy/ratio": token_mean(ratio, response_mask, tokens=tokens),
            "policy/clip_fraction": token_mean((clipped > unclipped).to(ratio.dtype), response_mask, tokens=tokens),
            "policy/approx_kl": token_mean(log_ratio.expm1() - log_ratio, response_mask, tokens=tokens),
        }
    return LossOutputs(loss, metrics)


def likelihood_loss(
    logprobs: Float[Tensor, "b t"],
    old_logprobs: Float[Tensor, "b t"],
    advantages: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    tokens: int,
    weights: Float[Tensor, " b"] | None = None,
) -> LossOutputs:
    """Mean of -A * logprobs: learning what has A > 0 as if it were demonstrated."""
    loss = token_mean(-advantages * logprobs, response_mask, tokens=tokens, weights=weights)
    with torch.no_grad():
        log_ratio = (logprobs - old_logprobs).masked_fill(~response_mask, 0.0)
        metrics = {
            "policy/loss": loss.detach(),
            "policy/approx_kl": token_mean(log_ratio.expm1() - log_ratio, response_mask, tokens=tokens),
        }
    return LossOutputs(loss, metrics)


def kl_loss(
    logprobs: Float[Tensor, "b t"],
    ref_logprobs: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    estimator: KLEstimator,
    tokens: int,
    weights: Float[Tensor, " b"] | None = None,
) -> LossOutputs:
    """Mean of the KL estimates as a loss, to be multiplied by its coefficient.

    Its gradient is not always that of KL(policy || reference). On samples of the policy itself the expected gradient
    of k1 is 0, that of k2 the gradient of KL(policy || reference), and that of k3 the one of KL(reference || policy).
    """
    kl = token_kl(logprobs, ref_logprobs, response_mask, estimator=estimator)
    loss = token_mean(kl, response_mask, tokens=tokens, weights=weights)
    return LossOutputs(loss, {"policy/kl_loss": loss.detach()})


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
