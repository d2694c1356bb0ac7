"""A scalar head on a language model's backbone: the value of what was written so far.

Reads the same hidden states as the policy does (before each response token), so that a value is a function of the
state in which the token was chosen and never of the token itself.
"""

import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spanwise.models.backbone import Backbone
from spanwise.models.batches import PromptBatch
from spanwise.models.policy import Policy

_INITIAL_SCALE = 0.01


class ValueModel(nn.Module):
    """A backbone of its own with a linear head in float32."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.hidden_size, 1, device=next(backbone.parameters()).device)

    @classmethod
    def from_policy(cls, policy: Policy, generator: torch.Generator) -> "ValueModel":
        """A copy of the policy's backbone under a head that says almost 0 everywhere."""
        model = cls(copy.deepcopy(policy.backbone)).eval()
        scale = _INITIAL_SCALE * model.backbone.hidden_size**-0.5
        weight = torch.randn(model.head.weight.shape, generator=generator, device=generator.device) * scale
        with torch.no_grad():
            model.head.weight.copy_(weight)
            model.head.bias.zero_()
        return model

    def values(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t"]:
        """The value of the state before each response token; 0 where masked."""
        states = self.backbone(prompts, response_ids, response_mask)
        values = self.head(states.to(self.head.weight.dtype))[..., 0]
        return values.masked_fill(~response_mask, 0.0)
