"""Expert iteration: of the responses to each prompt, the one with the highest reward is learned like a demonstration.

A baseline that uses rewards to choose but never their gradient (Anthony et al. 2017; best-of-n fine-tuning).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.advantages import Advantages, rewards_to_go
from spanwise.rl.algorithms.losses import LossOutputs, likelihood_loss
from spanwise.rl.algorithms.types import Experience, TrainingBatch


class ExpertIteration:
    """Likelihood of the best response of each group, the first of them where several are best."""

    def advantages(self, experience: Experience) -> Advantages:
        """1 on every token of the best responses, 0 on all others."""
        mask, groups = experience.response_mask, experience.inputs.groups()
        returns = rewards_to_go(experience.token_rewards, mask, gamma=1.0)
        totals = experience.token_rewards.masked_fill(~mask, 0.0).sum(1)
        best = torch.zeros_like(totals)
        for group in groups.unique():
            rows = (groups == group).nonzero()[:, 0]
            best[rows[totals[rows].argmax()]] = 1.0
        return Advantages(best[:, None] * mask, returns)

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """`losses.likelihood_loss`; divided by all tokens of the minibatch, so about 1 / N of the chosen ones' mean."""
        return likelihood_loss(
            logprobs,
            batch.old_logprobs,
            batch.advantages,
            batch.response_mask,
            tokens=tokens,
            weights=batch.weights,
        )
