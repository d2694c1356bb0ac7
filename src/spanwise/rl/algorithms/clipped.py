"""The clipped policy loss as the `ppo` section of the config sets it: what PPO, GRPO, RLOO and REINFORCE++ share."""

import math

from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms.losses import LossOutputs, clipped_policy_loss, token_mean
from spanwise.rl.algorithms.types import TrainingBatch
from spanwise.rl.config import PPOConfig


def clipped_loss(
    config: PPOConfig, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int
) -> LossOutputs:
    """`losses.clipped_policy_loss` of part of a minibatch, tokens that were nearly certain left without an advantage.

    The sum is divided by all tokens as before, so that a filter neither raises nor lowers what the others teach.
    """
    advantages, figures = batch.advantages, dict[str, Float[Tensor, ""]]()
    if config.max_probability is not None:
        teaches = batch.old_logprobs <= math.log(config.max_probability)
        advantages = advantages.masked_fill(~teaches, 0.0)
        figures["policy/teaching_share"] = token_mean(teaches.float(), batch.response_mask, tokens=tokens)
    outputs = clipped_policy_loss(
        logprobs,
        batch.old_logprobs,
        advantages,
        batch.response_mask,
        clip_range=config.clip_range,
        clip_range_high=config.clip_range_high,
        dual_clip=config.dual_clip,
        tokens=tokens,
        weights=batch.weights,
    )
    return outputs._replace(metrics=outputs.metrics | figures)
