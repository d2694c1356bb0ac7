"""Verdicts on criteria, shared out among the tokens that each criterion is about (Rubrics to Tokens, 2026).

Pure functions of tensors whose axes have names, so that responses and criteria cannot be taken for each other: b
responses, k criteria, t tokens.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def rubric_scores(
    relevance: Float[Tensor, "b k t"], verdicts: Float[Tensor, "b k"], response_mask: Bool[Tensor, "b t"]
) -> Float[Tensor, "b t"]:
    """The mean over criteria of verdict times relevance, normalised within each response and criterion.

    Mean 0 and population deviation 1 over the tokens of the mask; a criterion that finds all tokens alike says nothing
    of where, and gives 0. Tokens outside of the mask get 0.
    """
    mask = response_mask[:, None, :]
    product = (relevance * verdicts[:, :, None]).masked_fill(~mask, 0.0)
    count = mask.sum(2, keepdim=True).clamp(min=1)
    centred = (product - product.sum(2, keepdim=True) / count).masked_fill(~mask, 0.0)
    deviation = (centred.square().sum(2, keepdim=True) / count).sqrt()
    normal = torch.where(deviation > 1e-6, centred / deviation.clamp(min=1e-6), 0.0)
    return normal.mean(1)
