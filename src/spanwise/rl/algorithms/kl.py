"""KL between policy and reference, per token, and the coefficient that weighs it.

Pure functions and one small controller; knows nothing of rollouts or losses.
Dimensions: B batch, T response tokens.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from spanwise.rl.config import KLEstimator


def token_kl(
    logprobs: Float[Tensor, "b t"],
    ref_logprobs: Float[Tensor, "b t"],
    response_mask: Bool[Tensor, "b t"],
    *,
    estimator: KLEstimator = "k1",
) -> Float[Tensor, "b t"]:
    """Single-sample estimates of KL(policy || reference) at each token, 0 where the mask is False.

    With d = logprobs - ref_logprobs of the sampled token (Schulman 2020, "Approximating KL divergence"):
    k1 = d is unbiased and may be negative; k2 = d**2 / 2 is biased and never negative;
    k3 = exp(-d) - 1 + d is unbiased and never negative.
    """
    difference = (logprobs - ref_logprobs).masked_fill(~response_mask, 0.0)
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return 0.5 * difference.square()
    return (-difference).expm1() + difference


@dataclass
class KLController:
    """The weight of the KL penalty: fixed when `target` is None, else Ziegler et al. 2019's proportional rule.

    `coef` is all the state there is. `target` is a mean KL per response (summed over its tokens); the coefficient
    moves by about a fifth at most for each `horizon` responses.
    """

    coef: float
    target: float | None = None
    horizon: int = 10_000

    def update(self, kl: float, responses: int) -> None:
        """Multiplies `coef` by 1 + clip(kl / target - 1, -0.2, 0.2) * responses / horizon; nothing without a target."""
        if self.target is not None:
            error = min(max(kl / self.target - 1.0, -0.2), 0.2)
            self.coef *= 1.0 + error * responses / self.horizon
