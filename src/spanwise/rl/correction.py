"""Importance weights for responses that another engine sampled: nearly the policy's distribution, but not exactly.

An engine with kernels of its own gives a token another probability q than the policy's p, and what is learned from its
samples as if they were the policy's is biased. The policy gradient of each token is therefore weighted by p / q,
bounded in one of two ways. Pure functions. Dimensions: B responses, T response tokens.
"""

from typing import Literal

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from spanwise.config import Config


class CorrectionConfig(Config):
    """How samples of another engine than the policy itself are weighted; without effect with the policy's own."""

    how: Literal["truncate", "mask", "none"] = "truncate"
    """truncate: the weight of a token is p / q, at most `cap` (Yao et al. 2025). mask: p / q, and 0 outside of 1 / cap
    to cap (Team Ling 2025, IcePop). none: 1, which is biased."""
    cap: float = Field(default=2.0, gt=1)
    """The bound of the weights."""


def sampling_weights(
    logprobs: Float[Tensor, "b t"],
    sampled_logprobs: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    config: CorrectionConfig,
) -> Float[Tensor, "b t"]:
    """The weight of every token from log p (`logprobs`) and log q (`sampled_logprobs`); 0 where masked."""
    ratio = (logprobs - sampled_logprobs).exp()
    if config.how == "none":
        weights = ratio.new_ones(ratio.shape)
    elif config.how == "truncate":
        weights = ratio.clamp(max=config.cap)
    else:
        weights = ratio.masked_fill((ratio > config.cap) | (ratio < 1.0 / config.cap), 0.0)
    return weights.masked_fill(~response_mask, 0.0)


def correction_metrics(
    logprobs: Float[Tensor, "b t"],
    sampled_logprobs: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    config: CorrectionConfig,
) -> dict[str, float]:
    """How far the engine is from the policy: the mean of log q - log p, and the share of weights that met a bound."""
    difference = (sampled_logprobs - logprobs)[response_mask]
    ratio = (-difference).exp()
    bounded = ratio > config.cap
    if config.how == "mask":
        bounded |= ratio < 1.0 / config.cap
    return {"sampler/kl": float(difference.mean()), "sampler/bounded": float(bounded.float().mean())}
