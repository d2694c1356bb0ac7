"""Losses of reward models on flat lists of segments and pairs; pure functions that know no model and no batch.

Shapes: n segments, p pairs.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from spanwise.reward_models.config import TokenLossConfig


def segment_loss(
    logits: Float[Tensor, " n"], correct: Float[Tensor, " n"], label_mask: Bool[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy over the segments where `label_mask` is True; 0 when there is none.

    A positive logit says that the segment is right; `correct` may lie between 0 and 1.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, correct, reduction="none")
    return (losses * label_mask).sum() / label_mask.sum().clamp(min=1)


def pair_loss(
    better: Float[Tensor, " p"],
    worse: Float[Tensor, " p"],
    offset: Float[Tensor, " p"] | float = 0.0,
    confidence: Float[Tensor, " p"] | float = 1.0,
) -> Float[Tensor, ""]:
    """Mean -log sigmoid(better - worse + offset); 0 when there is no pair.

    A pair of which the better one is better only with probability `confidence` counts to that degree as it stands and
    to the rest turned around.

    logsigmoid stays finite where log(sigmoid(x)) is -inf (wu2023 W16). `offset` is what a pair owes to the order in
    which it was shown.
    """
    gap = better - worse + offset
    losses = -(confidence * functional.logsigmoid(gap) + (1 - confidence) * functional.logsigmoid(-gap))
    return losses.sum() / max(1, len(losses))


@dataclass(frozen=True, slots=True)
class TokenSide:
    """The originals or the edits of a batch: their token rewards and which tokens changed."""

    rewards: Float[Tensor, "b t"]
    response_mask: Bool[Tensor, "b t"]
    """True = a token of the response, its end-of-sequence token included."""
    changed: Bool[Tensor, "b t"]
    """U1: True = a token that is not on the other side, or one that is to blame for a gap."""

    @property
    def lengths(self) -> Float[Tensor, " b"]:
        """T, at least 1."""
        return self.response_mask.sum(1).clamp(min=1).to(self.rewards.dtype)


@dataclass(frozen=True, slots=True)
class TokenPairLoss:
    """The loss of a batch and what it is made of."""

    loss: Float[Tensor, ""]
    difference: Float[Tensor, " b"]
    """The argument of the sigmoid, less temperature and margin."""
    consistency: Float[Tensor, ""]
    neutral: Float[Tensor, ""]
    """Both before their weights."""


def sequence_scores(rewards: Float[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]) -> Float[Tensor, " b"]:
    """The mean reward over the tokens of each response (equation 1)."""
    return (rewards * response_mask).sum(1) / response_mask.sum(1).clamp(min=1)


def full_difference(original: TokenSide, edited: TokenSide) -> Float[Tensor, " b"]:
    """Score of the edit less score of the original: the exact argument of equations 2 and 3."""
    better = sequence_scores(edited.rewards, edited.response_mask)
    return better - sequence_scores(original.rewards, original.response_mask)


def edited_difference(
    original: TokenSide, edited: TokenSide, divide_by: Literal["length", "changed"] = "length"
) -> Float[Tensor, " b"]:
    """The share of the changed tokens in it (equation 4); a side without any gives 0."""
    return _changed_mean(edited, divide_by) - _changed_mean(original, divide_by)


def unchanged_share(original: TokenSide, edited: TokenSide) -> Float[Tensor, " b"]:
    """Which share of the full difference, in absolute terms, comes from tokens that stay; 0 of nothing is 0."""
    changed = edited_difference(original, edited)
    rest = (full_difference(original, edited) - changed).abs()
    return rest / (rest + changed.abs()).clamp(min=1e-12)


def token_pair_loss(
    original: TokenSide, edited: TokenSide, unchanged: Int[Tensor, "m 3"], config: TokenLossConfig
) -> TokenPairLoss:
    """Mean over the pairs of -log sigmoid(temperature * difference - margin), plus what `config` asks of U0.

    Columns of `unchanged`: pair, position in the original, position in the edit.
    """
    full = config.name == "full"
    difference = full_difference(original, edited) if full else edited_difference(original, edited, config.divide_by)
    pair, position, other = unchanged.unbind(1)
    before, after = original.rewards[pair, position], edited.rewards[pair, other]
    consistency = _mean((before - after) ** 2)
    neutral = _mean((before**2 + after**2) / 2)
    loss = _mean(functional.softplus(config.margin - config.temperature * difference))
    if config.name == "edited+consistency":
        loss = loss + config.consistency * consistency + config.neutral * neutral
    return TokenPairLoss(loss, difference, consistency, neutral)


def _changed_mean(side: TokenSide, divide_by: Literal["length", "changed"]) -> Float[Tensor, " b"]:
    total = (side.rewards * side.changed).sum(1)
    return total / (side.lengths if divide_by == "length" else side.changed.sum(1).clamp(min=1))


def _mean(values: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """0 of nothing."""
    return values.sum() / max(1, len(values))
