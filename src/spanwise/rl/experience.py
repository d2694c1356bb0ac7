"""From a rollout to experience: reference log-probabilities, values, KL and token rewards, each computed once.

Nothing here samples, scores or updates. Dimensions: B responses, T response tokens.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from spanwise.models.heads import ValueModel
from spanwise.models.policy import Policy
from spanwise.models.sampling import Sampling
from spanwise.rl.config import KLConfig
from spanwise.rl.kl import KLEstimator, token_kl
from spanwise.rl.types import Experience, ModelInputs, Rollout


class ExperienceMaker:
    """Computes what the reference and the value model say about sampled responses."""

    def __init__(
        self, reference: Policy, value_model: ValueModel, *, sampling: Sampling, kl: KLConfig, rows_per_pass: int
    ) -> None:
        self._reference = reference
        self._value_model = value_model
        self._sampling = sampling
        self._estimator: KLEstimator = kl.estimator
        self._rows_per_pass = rows_per_pass

    def __call__(self, rollout: Rollout, *, kl_coef: float) -> Experience:
        """token_rewards = token_scores - kl_coef * KL on every token; dropped responses are left out."""
        kept = (~rollout.scores.dropped).nonzero()[:, 0]
        inputs = ModelInputs.of(rollout.prompts, rollout.responses).select(kept)
        old_logprobs = rollout.responses.logprobs[kept]
        ref_logprobs = token_logprobs(
            self._reference, inputs, sampling=self._sampling, rows_per_pass=self._rows_per_pass
        )
        kl = token_kl(old_logprobs, ref_logprobs, inputs.response_mask, estimator=self._estimator)
        token_scores = widened(rollout.scores.total[kept], inputs.response_ids.shape[1]).to(kl.device)
        return Experience(
            inputs=inputs,
            old_logprobs=old_logprobs,
            ref_logprobs=ref_logprobs,
            values=in_passes(self._values, inputs, self._rows_per_pass),
            kl=kl,
            token_scores=token_scores,
            token_rewards=token_scores - kl_coef * kl,
        )

    def _values(self, inputs: ModelInputs) -> Float[Tensor, "b t"]:
        return self._value_model.values(inputs.prompts, inputs.response_ids, inputs.response_mask)


def token_logprobs(
    policy: Policy, inputs: ModelInputs, *, sampling: Sampling, rows_per_pass: int
) -> Float[Tensor, "b t"]:
    """Log-probabilities of the response tokens under `policy`, without gradients; 0 where masked."""

    def compute(part: ModelInputs) -> Float[Tensor, "b t"]:
        out = policy.logprobs(
            part.prompts, part.response_ids, part.response_mask, sampling=sampling, support=part.support
        )
        return out.logprobs

    return in_passes(compute, inputs, rows_per_pass)


@torch.no_grad()
def in_passes(
    compute: Callable[[ModelInputs], Float[Tensor, "b t"]], inputs: ModelInputs, rows_per_pass: int
) -> Float[Tensor, "b t"]:
    """What `compute` says about all rows, asked for some rows at a time; 0 where masked."""
    found = torch.zeros(inputs.response_ids.shape, device=inputs.response_ids.device)
    for rows in inputs.parts(rows_per_pass):
        part = inputs.select(rows)
        part = part.shorten(part.width())
        found[rows, : part.response_ids.shape[1]] = compute(part).float().masked_fill(~part.response_mask, 0.0)
    return found


def widened(x: Float[Tensor, "b u"], width: int) -> Float[Tensor, "b t"]:
    """The same rows with zero columns appended up to `width`."""
    return functional.pad(x, (0, width - x.shape[1]))
