"""REINFORCE++ (Hu 2025): rewards to go, normalised over all tokens of the step; no value model and no groups."""

from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.advantages import Advantages, masked_normalize, rewards_to_go
from spanwise.rl.algorithms.clipped import clipped_loss
from spanwise.rl.algorithms.losses import LossOutputs
from spanwise.rl.algorithms.types import Experience, TrainingBatch
from spanwise.rl.config import PPOConfig


class ReinforcePlusPlus:
    """REINFORCE with PPO's clipping and advantages normalised over the whole step."""

    def __init__(self, config: PPOConfig) -> None:
        self.config = config

    def advantages(self, experience: Experience) -> Advantages:
        """Rewards to go with mean 0 and variance 1 over the tokens of the step."""
        mask = experience.response_mask
        returns = rewards_to_go(experience.token_rewards, mask, gamma=self.config.gamma)
        return Advantages(masked_normalize(returns, mask), returns)

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """The clipped policy loss."""
        return clipped_loss(self.config, logprobs, batch, tokens=tokens)
