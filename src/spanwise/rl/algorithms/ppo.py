"""PPO: masked GAE, the clipped policy loss and the clipped value loss.

The whole algorithm; the functions are in `advantages.py` and `losses.py`, and the named defects of the
code of Wu et al. 2023 in `compat.py`.
"""

from jaxtyping import Float
from torch import Tensor

from experiments.paper_defects.compat import unmasked_gae, whiten_by_sqrt_std
from spanwise.rl.algorithms.advantages import Advantages, length_adaptive_lambda, masked_gae, masked_normalize
from spanwise.rl.algorithms.clipped import clipped_loss
from spanwise.rl.algorithms.losses import LossOutputs, clipped_value_loss
from spanwise.rl.algorithms.types import Experience, TrainingBatch
from spanwise.rl.config import CompatConfig, PPOConfig


class PPO:
    """Proximal policy optimisation (Schulman et al. 2017) with a reward on every token."""

    def __init__(self, config: PPOConfig, compat: CompatConfig) -> None:
        self.config = config
        self._normalize = whiten_by_sqrt_std if compat.sqrt_std_whitening else masked_normalize
        self._gae = unmasked_gae if compat.padding_leak else masked_gae

    def advantages(self, experience: Experience) -> Advantages:
        """GAE over the token rewards; normalised over the tokens of the step if the config says so."""
        config, mask, rewards = self.config, experience.response_mask, experience.token_rewards
        if config.scale_rewards:
            rewards = self._normalize(rewards, mask, center=False)
        alpha = config.length_adaptive_alpha
        gae_lambda = config.gae_lambda if alpha is None else length_adaptive_lambda(mask, alpha=alpha)
        credit = self._gae(rewards, experience.values, mask, gamma=config.gamma, gae_lambda=gae_lambda)
        if config.gae_lambda_value is not None:
            target = self._gae(rewards, experience.values, mask, gamma=config.gamma, gae_lambda=config.gae_lambda_value)
            credit = credit._replace(returns=target.returns)
        if not config.normalize_advantages:
            return credit
        return credit._replace(advantages=self._normalize(credit.advantages, mask))

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """`losses.clipped_policy_loss`."""
        return clipped_loss(self.config, logprobs, batch, tokens=tokens)

    def value_loss(self, values: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """`losses.clipped_value_loss`."""
        return clipped_value_loss(
            values,
            batch.old_values,
            batch.returns,
            batch.response_mask,
            clip_range_value=self.config.clip_range_value,
            tokens=tokens,
        )
