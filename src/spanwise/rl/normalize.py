"""Means and normalisation over the tokens that count.

`masked_normalize` is the only normalisation of the RL part; what the code of Wu et al. does instead is in `compat.py`.
Dimensions: B batch, T response tokens.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

VARIANCE_FLOOR = 1e-8


def masked_mean(x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Mean over the True positions; 0 when there is none."""
    counted = x[mask]
    return counted.sum() / max(len(counted), 1)


def masked_variance(x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, ""]:
    """Population variance over the True positions: the mean squared distance from their mean, never negative."""
    return masked_mean((x - masked_mean(x, mask)).square(), mask)


def masked_normalize(
    x: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"], *, center: bool = True
) -> Float[Tensor, "b t"]:
    """Divides by the standard deviation over the True positions; with `center` also takes their mean away first.

    y = (x - mean) / sqrt(var + 1e-8), or y = x / sqrt(var + 1e-8) without centring: then a zero stays a zero, so that
    tokens without a reward stay without one. False positions become 0.
    """
    shifted = x - masked_mean(x, mask) if center else x
    return (shifted * torch.rsqrt(masked_variance(x, mask) + VARIANCE_FLOOR)).masked_fill(~mask, 0.0)
