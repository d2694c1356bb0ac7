"""Three defects of the code of Wu et al. 2023, on purpose, so that their effect can be shown; built on the library.

W3: whitening divides by the square root of the standard deviation. W4: scale-only whitening gives padding a reward,
and the unmasked recursion carries it into the answer. W2: rewards are placed by re-tokenising the decoded text instead
of by the sampled ids. `with_defects` puts them into the parts of a run. Dimensions: B batch, T response tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from spanwise.core import Config, ConfigError
from spanwise.rl import TrainerConfig, TrainerParts
from spanwise.rl.algorithms import PPO, Advantages, masked_gae, masked_mean, masked_normalize, masked_variance
from spanwise.text import Span


class Defects(Config):
    """Which defects a run has."""

    sqrt_std_whitening: bool = False
    """W3: divide by the square root of the standard deviation wherever rewards or advantages are normalised."""
    padding_leak: bool = False
    """W4: run advantage estimation over padding as well."""
    retokenized_placement: bool = False
    """W2: place rewards by re-tokenising the decoded response instead of by the sampled tokens."""


def with_defects(trainer: TrainerConfig, parts: TrainerParts, defects: Defects) -> TrainerParts:
    """The parts of a run with these defects; ConfigError where the run's settings would not show them."""
    _check(trainer, defects)
    if defects.sqrt_std_whitening or defects.padding_leak:
        normalize = whiten_by_sqrt_std if defects.sqrt_std_whitening else masked_normalize
        gae = unmasked_gae if defects.padding_leak else masked_gae
        parts = replace(parts, algorithm=PPO(trainer.ppo, normalize=normalize, gae=gae))
    if not defects.retokenized_placement:
        return parts
    tokenizer = parts.policy.tokenizer

    def spans(text: str, ids: Sequence[int]) -> tuple[Span, ...]:
        return retokenized_spans(tokenizer, text, len(ids))

    return replace(parts, token_spans=spans)


def _check(trainer: TrainerConfig, defects: Defects) -> None:
    if trainer.algorithm != "ppo" and (defects.sqrt_std_whitening or defects.padding_leak):
        raise ConfigError(
            f"sqrt_std_whitening and padding_leak are of ppo, not of {trainer.algorithm}; leave them out."
        )
    if defects.padding_leak and not (defects.sqrt_std_whitening and trainer.ppo.scale_rewards):
        raise ConfigError(
            "padding_leak shows only together with sqrt_std_whitening and ppo.scale_rewards, which put the reward on "
            "the padding; set both to true."
        )


def whiten_by_sqrt_std(
    x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"], *, center: bool = True
) -> Float[Tensor, "b t"]:
    """W3: (x - mean) / sqrt(std), plus the mean again when not centred; mean and std over the True positions.

    False positions are transformed too: a zero there becomes mean * (1 - 1 / sqrt(std)) without centring, which is the
    source of W4. [1, 2, 3, 6] keeps a standard deviation of 1.37.
    """
    mean = masked_mean(x, mask)
    whitened = (x - mean) * masked_variance(x, mask).sqrt().clamp(min=1e-8).rsqrt()
    return whitened if center else whitened + mean


def unmasked_gae(
    token_rewards: Float[Tensor, "b t"],
    values: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    gamma: float,
    gae_lambda: float | Float[Tensor, " b"],
) -> Advantages:
    """W4: the recursion of `advantages.masked_gae` over all columns, so that rewards on padding flow into the answer.

    Values on padding are 0, as in the code of Wu et al.; only the results are masked.
    """
    values = values.masked_fill(~response_mask, 0.0)
    advantages = torch.zeros_like(values)
    advantage = next_value = values.new_zeros(values.shape[0])
    for t in reversed(range(values.shape[1])):
        delta = token_rewards[:, t] + gamma * next_value - values[:, t]
        advantage = delta + gamma * gae_lambda * advantage
        next_value = values[:, t]
        advantages[:, t] = advantage
    returns = (advantages + values).masked_fill(~response_mask, 0.0)
    return Advantages(advantages.masked_fill(~response_mask, 0.0), returns)


def retokenized_spans(tokenizer: PreTrainedTokenizerBase, text: str, tokens: int) -> tuple[Span, ...]:
    """W2: token spans as the prefix rule sees them, for a response of `tokens` sampled tokens decoded to `text`.

    A segment is paid at token min(len(tokenize(prefix)), tokens) - 1, where the prefix reaches to the start of the next
    segment and so ends with the whitespace between them. The spans returned here make `text.tokens.last_token` choose
    that token for every segment that ends with a word. Where a longer prefix has fewer tokens the larger count stays,
    because the spans of successive tokens cannot run backwards.
    """
    words = [match.end() for match in re.finditer(r"\s*\S+\s*", text)]
    counts = [len(tokenizer(text[:end], add_special_tokens=False).input_ids) for end in words]
    ends = [0] * tokens
    owner = 0
    for end, count in zip(words, counts, strict=True):
        owner = max(owner, min(count, tokens) - 1)
        ends[owner] = end
    reached = list(accumulate(ends, max))
    return tuple(Span(start, end) for start, end in zip([0, *reached], reached, strict=False))
