"""Who plays which role in a run: a policy, a reference that stays what the policy was, and perhaps a value model.

Full fine-tuning copies the policy's weights for the other two. With LoRA all three share one set of frozen weights: the
reference is the model without adapters, policy and value model each have their own, beside those that reward models
put there before. A value head may also read the policy's own states and needs no weights but its own then. Where the
KL weighs nothing there is no reference.
"""

import copy
from dataclasses import dataclass
from typing import cast

from torch import nn

from spanwise.core import torch_generator
from spanwise.models import Adapters, Policy, ValueModel, split
from spanwise.rl.config import TrainerConfig


@dataclass(frozen=True)
class Roles:
    """The models of a run."""

    policy: Policy
    reference: Policy | None
    """None where nothing is asked of it."""
    value_model: ValueModel | None

    def use_compiled(self) -> None:
        """Compiles the reading of whole responses in all of them."""
        for model in (self.policy, self.reference, self.value_model):
            if model is not None:
                model.backbone.compiled = True

    def split(self, processes: int) -> None:
        """Splits the weights of all of them over so many processes."""
        for model in (self.policy, self.reference, self.value_model):
            if model is not None:
                split(model.backbone, processes)
                module = model if isinstance(model, ValueModel) else cast("nn.Module", model.model)
                module.to(next(model.backbone.parameters()).device)


def make_roles(policy: Policy, config: TrainerConfig, *, learns_values: bool) -> Roles:
    """Gives `policy` its company; with LoRA, adapters are put on its model."""
    own_value = learns_values and config.value_backbone == "own"
    head = torch_generator(config.seed, "value head")
    value_model = None
    if config.lora is None:
        reference = Policy(copy.deepcopy(policy.model), policy.tokenizer) if config.kl.coef else None
        if reference is not None:
            reference.model.requires_grad_(False)
        if own_value:
            value_model = ValueModel.from_policy(policy, head)
    else:
        names = ["policy", "value"] if own_value else ["policy"]
        adapters = Adapters(policy.model) if policy.role is None else policy.role.adapters
        adapters.add(names, config.lora, torch_generator(config.seed, "adapters"))
        policy.role = adapters.role("policy")
        reference = Policy(policy.model, policy.tokenizer, role=adapters.role(None)) if config.kl.coef else None
        if own_value:
            value_model = ValueModel.sharing(policy, adapters.role("value"), head)
    if learns_values and not own_value:
        value_model = ValueModel.on_states_of(policy, head)
    roles = Roles(policy, reference, value_model)
    if config.compile:
        roles.use_compiled()
    return roles
