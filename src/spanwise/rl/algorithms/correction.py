"""Importance weights for responses that another engine sampled: nearly the policy's distribution, but not exactly.

An engine with kernels of its own gives a token another probability q than the policy's p, and what is learned from its
samples as if they were the policy's is biased. The policy gradient of each token is therefore weighted by p / q,
bounded in one of two ways. Pure functions. Dimensions: B responses, T response tokens.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from spanwise.rl.config import CorrectionConfig


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
