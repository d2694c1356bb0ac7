"""Losses on pairs of an edit and its original from log-probabilities of tokens: DPO, its positive terms, token weights.

The log-ratio of a side is the weighted sum of log pi(token) - log pi_ref(token). With all weights 1 and no positive
term the loss is that of Rafailov et al. 2023 (2305.18290, equation 7); the penalty is DPOP's (Pal et al. 2024,
2402.13228, equation 3); the weights divided by their sum are those of dense DPO (Yu et al. 2023, 2312.00849).
Pure functions that know no model. Shapes: b pairs, t response tokens.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from spanwise.preference_tuning.config import DPOLossConfig


@dataclass(frozen=True, slots=True)
class PairSide:
    """The edits or the originals of a batch."""

    logprobs: Float[Tensor, "b t"]
    """Under the policy; the gradient goes through them."""
    ref_logprobs: Float[Tensor, "b t"]
    """Under the policy as it was at the start."""
    response_mask: Bool[Tensor, "b t"]
    """True = a token of the response, its end-of-sequence token included."""
    changed: Bool[Tensor, "b t"]
    """True = a token that is not on the other side, or one that is to blame for a gap."""


@dataclass(frozen=True, slots=True)
class PairLosses:
    """The loss of each pair and what it is made of."""

    loss: Float[Tensor, " b"]
    preference: Float[Tensor, " b"]
    likelihood: Float[Tensor, " b"]
    """Negative log-likelihood of the edit per unit of token weight."""
    edited: Float[Tensor, " b"]
    original: Float[Tensor, " b"]
    """Log-ratios of the two sides by token weight."""


def token_weights(side: PairSide, config: DPOLossConfig) -> Float[Tensor, "b t"]:
    """The weight of each token; 0 where masked."""
    changed = torch.full_like(side.logprobs, config.changed_weight)
    weights = torch.where(side.changed, changed, config.unchanged_weight)
    return weights * side.response_mask


def log_ratios(side: PairSide, config: DPOLossConfig) -> Float[Tensor, " b"]:
    """The weighted sum of log pi - log pi_ref of each response, or with `per_token` the weighted mean."""
    weights = token_weights(side, config)
    total = (weights * (side.logprobs - side.ref_logprobs)).sum(1)
    return _over(total, weights.sum(1)) if config.per_token else total


def dpo_losses(
    edited: Float[Tensor, " b"], original: Float[Tensor, " b"], *, beta: float, penalty: float = 0.0
) -> Float[Tensor, " b"]:
    """-log sigmoid(beta (edited - original - penalty max(0, -edited))) of log-ratios."""
    return functional.softplus(-beta * (edited - original - penalty * functional.relu(-edited)))


def pair_losses(edited: PairSide, original: PairSide, config: DPOLossConfig) -> PairLosses:
    """All terms of every pair. A side without any weight has log-ratio 0."""
    better, worse = log_ratios(edited, config), log_ratios(original, config)
    preference = dpo_losses(better, worse, beta=config.beta, penalty=config.penalty)
    weights = token_weights(edited, config)
    likelihood = -_over((weights * edited.logprobs).sum(1), weights.sum(1))
    loss = config.preference * preference + config.likelihood * likelihood
    return PairLosses(loss, preference, likelihood, better, worse)


def _over(total: Float[Tensor, " b"], weight: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The quotient; 0 where nothing has a weight."""
    return torch.where(weight > 0, total / torch.where(weight > 0, weight, 1.0), 0.0)
