"""Alignment while answering: a policy's logits moved towards those of a guide, and nothing trained.

The guide is the same model after tuning, or one with the same vocabulary. At each token the distribution that gains
most of strength * log(guide / policy), less its KL from the policy, is softmax(f + strength (g - f)) of the logits f
and g: the closed form of a step of RLHF with the guide's implicit reward (Gao et al. 2024, linear alignment; Liu et al.
2024, proxy tuning). Strength 0 is the policy, 1 the guide, and above 1 goes beyond it. Shapes: b responses, h hidden.
"""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spanwise.core import ConfigError
from spanwise.models import Decoding, Draw, Policy, PromptBatch, ResponseBatch, Sampling, continue_until_end, draw


def aligned_logits(logits: Float[Tensor, "b v"], guide: Float[Tensor, "b v"], strength: float) -> Float[Tensor, "b v"]:
    """F + strength (g - f)."""
    return logits + strength * (guide - logits)


@torch.inference_mode()
def aligned_responses(
    policy: Policy,
    guide: Policy,
    prompts: PromptBatch,
    *,
    strength: float,
    sampling: Sampling,
    generator: torch.Generator,
) -> ResponseBatch:
    """Samples a response to each prompt; its log-probabilities are those of what was drawn from.

    Raises ConfigError where the two write other tokens.
    """
    if policy.tokenizer.get_vocab() != guide.tokenizer.get_vocab():
        raise ConfigError("guide: its tokenizer is not the policy's; take a model with the same vocabulary.")
    both = _Both(policy.backbone.start(prompts), guide.backbone.start(prompts))

    def choose(states: Tensor, step: int) -> Draw:
        own, other = states.split(both.sizes, 1)
        may_end = step >= sampling.min_new_tokens
        ask = partial(Policy.logits, temperature=sampling.temperature, may_end=may_end)
        return draw(aligned_logits(ask(policy, own), ask(guide, other), strength), sampling.top_k, generator)

    batch = continue_until_end(
        both,
        choose,
        max_new_tokens=sampling.max_new_tokens,
        eos_ids=torch.tensor(policy.end_ids, device=prompts.ids.device),
        pad_id=policy.pad_id,
    )
    return batch.clone()


class _Both:
    """Two models that write the same tokens; their states stand side by side."""

    def __init__(self, first: Decoding, second: Decoding) -> None:
        self._models = (first, second)
        self.sizes = [one.hidden.shape[1] for one in self._models]

    @property
    def hidden(self) -> Float[Tensor, "b h"]:
        return torch.cat([one.hidden for one in self._models], 1)

    def step(self, tokens: Int[Tensor, " b"]) -> None:
        for one in self._models:
            one.step(tokens)

    def keep(self, rows: Int[Tensor, " n"]) -> None:
        for one in self._models:
            one.keep(rows)
