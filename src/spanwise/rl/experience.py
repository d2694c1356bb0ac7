"""From a rollout to experience: reference log-probabilities, values, KL and token rewards, each computed once.

Nothing here samples, scores or updates. Dimensions: B responses, T response tokens.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from spanwise.models import Policy, Sampling, ValueModel
from spanwise.rl.algorithms import Experience, ModelInputs, Rollout, sampling_weights, token_kl
from spanwise.rl.config import CorrectionConfig, KLConfig, KLEstimator
from spanwise.rl.runtime import Budget


class ExperienceMaker:
    """Computes what the reference and the value model say about sampled responses; without a reference there is no KL.

    Where not the policy but an engine sampled, `corrected` is the policy, which then says how likely the responses are,
    and how they are weighted for the difference.
    """

    def __init__(
        self,
        reference: Policy | None,
        value_model: ValueModel | None,
        *,
        sampling: Sampling,
        kl: KLConfig,
        budget: Budget,
        corrected: tuple[Policy, CorrectionConfig] | None = None,
    ) -> None:
        self._corrected = corrected
        self._reference = reference
        self._value_model = value_model
        self._sampling = sampling
        self._estimator: KLEstimator = kl.estimator
        self._penalized = kl.where == "reward"
        self._budget = budget

    def __call__(self, rollout: Rollout, *, kl_coef: float) -> Experience:
        """token_rewards = token_scores - kl_coef * KL on every token, unless the KL is part of the loss.

        Dropped responses are left out. Without a value model all values are 0.
        """
        kept = (~rollout.scores.dropped).nonzero()[:, 0]
        inputs = ModelInputs.of(rollout.prompts, rollout.responses).select(kept)
        sampled_logprobs, sampled_values = rollout.responses.logprobs[kept], rollout.responses.values
        old_logprobs, weights = self._old_logprobs(inputs, sampled_logprobs)
        ref_logprobs, kl = self._kl(inputs, old_logprobs)
        token_scores = widened(rollout.scores.total[kept], inputs.response_ids.shape[1]).to(old_logprobs.device)
        return Experience(
            inputs=inputs,
            old_logprobs=old_logprobs,
            ref_logprobs=ref_logprobs,
            values=self._values(inputs) if sampled_values is None else sampled_values[kept],
            kl=kl,
            token_scores=token_scores,
            token_rewards=token_scores - kl_coef * kl if self._penalized and kl is not None else token_scores,
            sampling_weights=weights,
        )

    def _kl(
        self, inputs: ModelInputs, logprobs: Float[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t"] | None, Float[Tensor, "b t"] | None]:
        """The reference's log-probabilities, and the KL between it and the policy."""
        if self._reference is None:
            return None, None
        of_reference = token_logprobs(self._reference, inputs, sampling=self._sampling, budget=self._budget)
        return of_reference, token_kl(logprobs, of_reference, inputs.response_mask, estimator=self._estimator)

    def _old_logprobs(
        self, inputs: ModelInputs, sampled: Float[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"] | None]:
        if self._corrected is None:
            return sampled, None
        policy, correction = self._corrected
        logprobs = token_logprobs(policy, inputs, sampling=self._sampling, budget=self._budget)
        return logprobs, sampling_weights(logprobs, sampled, inputs.response_mask, correction)

    def _values(self, inputs: ModelInputs) -> Float[Tensor, "b t"]:
        model = self._value_model
        if model is None:
            return torch.zeros(inputs.response_ids.shape, device=inputs.response_ids.device)

        def compute(part: ModelInputs) -> Float[Tensor, "b t"]:
            return model.values(part.prompts, part.response_ids, part.response_mask)

        return in_passes(compute, inputs, self._budget)


def token_logprobs(policy: Policy, inputs: ModelInputs, *, sampling: Sampling, budget: Budget) -> Float[Tensor, "b t"]:
    """Log-probabilities of the response tokens under `policy`, without gradients; 0 where masked."""

    def compute(part: ModelInputs) -> Float[Tensor, "b t"]:
        out = policy.logprobs(
            part.prompts, part.response_ids, part.response_mask, sampling=sampling, support=part.support
        )
        return out.logprobs

    return in_passes(compute, inputs, budget)


@torch.no_grad()
def in_passes(
    compute: Callable[[ModelInputs], Float[Tensor, "b t"]], inputs: ModelInputs, budget: Budget
) -> Float[Tensor, "b t"]:
    """What `compute` says about all rows, asked for some rows at a time; 0 where masked."""

    def all_rows() -> Float[Tensor, "b t"]:
        values = torch.zeros(inputs.response_ids.shape, device=inputs.response_ids.device)
        for rows, counts in budget.passes(inputs):
            part = inputs.select(rows)
            part = part.shorten(max(part.width(), 1))
            of_part = compute(part).float().masked_fill(~part.response_mask, 0.0)
            if counts:
                values[rows, : part.response_ids.shape[1]] = of_part
        return values

    computed = budget.spend(all_rows)
    budget.processes.add_up([computed])
    return computed


def widened(x: Float[Tensor, "b u"], width: int) -> Float[Tensor, "b t"]:
    """The same rows with zero columns appended up to `width`."""
    return functional.pad(x, (0, width - x.shape[1]))
