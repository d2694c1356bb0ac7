"""The part of a reward model's heads that reads counted features: one linear unit per head, on its own scale.

Mean and spread of each feature, taken from the training data of each head, are buffers: they travel in the
checkpoint. Knows nothing of what the features mean. Shapes: n pieces, k heads, f features.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class FeatureHeads(nn.Module):
    """Adds to the logit of each piece what its features say; says nothing until it is fitted."""

    mean: Float[Tensor, "k f"]
    scale: Float[Tensor, "k f"]
    """What a feature's distance from its mean is multiplied by; 0 where it never varied."""

    def __init__(self, heads: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, features))
        self.register_buffer("mean", torch.zeros(heads, features))
        self.register_buffer("scale", torch.zeros(heads, features))

    def forward(self, features: Float[Tensor, "n f"], head: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The share of each piece's logit, for the head that judges it."""
        standard = (features - self.mean[head]) * self.scale[head]
        return (standard * self.weight[head]).sum(1)

    def standardize(self, head: int, features: Float[Tensor, "n _"]) -> None:
        """Takes mean and spread of a head's features, the first f of all, from its training pieces."""
        values = features.double()
        spread = values.std(0, correction=0)
        width = features.shape[1]
        self.mean[head, :width] = values.mean(0).to(self.mean)
        self.scale[head, :width] = torch.where(spread > 1e-9, 1 / spread.clamp(min=1e-9), 0.0).to(self.scale)
