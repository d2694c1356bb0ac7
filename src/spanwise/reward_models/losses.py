"""Losses of reward models on flat lists of segments and pairs; pure functions that know no model and no batch.

Shapes: n segments, p pairs.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def segment_loss(
    logits: Float[Tensor, " n"], correct: Float[Tensor, " n"], label_mask: Bool[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy over the segments where `label_mask` is True; 0 when there is none.

    A positive logit says that the segment is right; `correct` may lie between 0 and 1.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, correct, reduction="none")
    return (losses * label_mask).sum() / label_mask.sum().clamp(min=1)


def pair_loss(
    better: Float[Tensor, " p"], worse: Float[Tensor, " p"], offset: Float[Tensor, " p"] | float = 0.0
) -> Float[Tensor, ""]:
    """Mean -log sigmoid(better - worse + offset); 0 when there is no pair.

    logsigmoid stays finite where log(sigmoid(x)) is -inf (wu2023 W16). `offset` is what a pair owes to the order in
    which it was shown.
    """
    losses = -functional.logsigmoid(better - worse + offset)
    return losses.sum() / max(1, len(losses))
