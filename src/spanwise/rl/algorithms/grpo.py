"""Dense GRPO: rewards to go compared with the mean of the group, in units of the group's deviation.

With all reward on the last token and gamma 1 this is A = (R - mean R) / (std R + 1e-6) on every token (Shao et al.
2024, outcome supervision). Without `divide_by_std` it is Dr. GRPO's advantage. The group's mean holds the response
itself, which makes the expected gradient (N - 1) / N of the unbiased one.
"""

from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.advantages import Advantages
from spanwise.rl.algorithms.clipped import clipped_loss
from spanwise.rl.algorithms.dense import dense_advantages
from spanwise.rl.algorithms.losses import LossOutputs
from spanwise.rl.algorithms.types import Experience, TrainingBatch
from spanwise.rl.config import GroupConfig, PPOConfig


class GRPO:
    """Group-relative policy optimisation with a reward on every token."""

    def __init__(self, config: PPOConfig, group: GroupConfig) -> None:
        self.config = config
        self.group = group

    def advantages(self, experience: Experience) -> Advantages:
        """Reward to go minus the group's mean at the same place, over the group's deviation if the config says so."""
        return dense_advantages(
            experience.token_rewards,
            experience.response_mask,
            experience.inputs.groups(),
            estimator="grpo",
            match=self.group.match,
            gamma=self.config.gamma,
            divide_by_std=self.group.divide_by_std,
        )

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """The clipped policy loss."""
        return clipped_loss(self.config, logprobs, batch, tokens=tokens)
