"""A scalar head on a language model's backbone: the value of what was written so far.

Reads the same hidden states as the policy does (before each response token), so that a value is a function of the
state in which the token was chosen and never of the token itself.
"""

import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spanwise.models.adapters import Role, active
from spanwise.models.backbone import Backbone
from spanwise.models.batches import PromptBatch
from spanwise.models.policy import Policy

_INITIAL_SCALE = 0.01


class ValueModel(nn.Module):
    """A linear head in float32 on a backbone of its own, on one that is shared and has an adapter for this role, or on
    the policy's own states (`of_policy`).
    """

    def __init__(self, backbone: Backbone, *, role: Role | None = None, of_policy: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.role = role
        self.of_policy = of_policy
        self.head = nn.Linear(backbone.hidden_size, 1, device=next(backbone.parameters()).device)

    @classmethod
    def from_policy(cls, policy: Policy, generator: torch.Generator) -> "ValueModel":
        """A copy of the policy's backbone under a head that says almost 0 everywhere."""
        return cls(copy.deepcopy(policy.backbone))._begun(generator)

    @classmethod
    def sharing(cls, policy: Policy, role: Role, generator: torch.Generator) -> "ValueModel":
        """The policy's own backbone, with `role`'s adapter on, under such a head."""
        return cls(policy.backbone, role=role)._begun(generator)

    @classmethod
    def on_states_of(cls, policy: Policy, generator: torch.Generator) -> "ValueModel":
        """Such a head on the policy's states: one reading serves both."""
        return cls(policy.backbone, role=policy.role, of_policy=True)._begun(generator)

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """What training this model changes besides the policy, by name."""
        head = {f"head.{name}": p for name, p in self.head.named_parameters()}
        if self.of_policy:
            return head
        if self.role is None:
            return {name: p for name, p in self.named_parameters() if p.requires_grad}
        return self.role.parameters() | head

    def values(
        self, prompts: PromptBatch, response_ids: Int[Tensor, "b t"], response_mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t"]:
        """The value of the state before each response token; 0 where masked."""
        with active(self.role):
            states = self.backbone(prompts, response_ids, response_mask)
        return self.of_states(states, response_mask)

    def of_states(self, states: Float[Tensor, "b t h"], response_mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        """The values of states that were read already; 0 where masked."""
        return self.of_each(states).masked_fill(~response_mask, 0.0)

    def of_each(self, states: Float[Tensor, "*b h"]) -> Float[Tensor, "*b"]:
        """The value of each state."""
        return self.head(states.to(self.head.weight.dtype))[..., 0]

    def _begun(self, generator: torch.Generator) -> "ValueModel":
        scale = _INITIAL_SCALE * self.backbone.hidden_size**-0.5
        weight = torch.randn(self.head.weight.shape, generator=generator, device=generator.device) * scale
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.zero_()
        return self.eval()
