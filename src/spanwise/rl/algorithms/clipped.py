"""The clipped policy loss as the `ppo` section of the config sets it: what PPO, GRPO, RLOO and REINFORCE++ share."""

from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.losses import LossOutputs, clipped_policy_loss
from spanwise.rl.algorithms.types import TrainingBatch
from spanwise.rl.config import PPOConfig


def clipped_loss(
    config: PPOConfig, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int
) -> LossOutputs:
    """`losses.clipped_policy_loss` of part of a minibatch."""
    return clipped_policy_loss(
        logprobs,
        batch.old_logprobs,
        batch.advantages,
        batch.response_mask,
        clip_range=config.clip_range,
        clip_range_high=config.clip_range_high,
        dual_clip=config.dual_clip,
        tokens=tokens,
        weights=batch.weights,
    )
