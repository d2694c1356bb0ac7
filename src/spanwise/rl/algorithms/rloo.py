"""Dense RLOO: rewards to go compared with the mean of the other responses to the same prompt.

With all reward on the last token and gamma 1 this is A_i = R_i - mean of R_j over j != i on every token (Kool et al.
2019; Ahmadian et al. 2024).
"""

from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.advantages import Advantages
from spanwise.rl.algorithms.clipped import clipped_loss
from spanwise.rl.algorithms.dense import dense_advantages
from spanwise.rl.algorithms.losses import LossOutputs
from spanwise.rl.algorithms.types import Experience, TrainingBatch
from spanwise.rl.config import GroupConfig, PPOConfig


class RLOO:
    """REINFORCE with a leave-one-out baseline and a reward on every token."""

    def __init__(self, config: PPOConfig, group: GroupConfig) -> None:
        self.config = config
        self.group = group

    def advantages(self, experience: Experience) -> Advantages:
        """Reward to go minus that of the other responses at the same place."""
        return dense_advantages(
            experience.token_rewards,
            experience.response_mask,
            experience.inputs.groups(),
            estimator="rloo",
            match=self.group.match,
            gamma=self.config.gamma,
        )

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """The clipped policy loss; before the first update its gradient is REINFORCE's."""
        return clipped_loss(self.config, logprobs, batch, tokens=tokens)
