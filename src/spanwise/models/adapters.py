"""LoRA adapters on one set of weights, so that several models need no copy of it.

An adapter is on inside a `with role.active()` block and nowhere else; outside all blocks the weights are the base
model's own. Knows nothing of what the models are for.
"""

import contextlib
import hashlib
import math
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import peft
import torch
from jaxtyping import Float
from peft.tuners.lora import Linear
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from spanwise.core import ConfigError, LoraConfig


class Adapters:
    """Adapters by name on one model, whose own weights are frozen; none at first."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._targets = _linear_layers(model)
        self._layers: dict[str, Linear] = {}
        self.names: list[str] = []
        """Of all adapters, in the order in which they came."""
        self._trained: set[str] = set()
        self._active: str | None = None
        cast("nn.Module", model).requires_grad_(False)

    def add(
        self, names: Sequence[str], config: LoraConfig, generator: torch.Generator, *, trained: bool = True
    ) -> None:
        """More adapters, which at first change nothing (B = 0); with `trained` off they never take gradients."""
        module = cast("nn.Module", self.model)
        for name in names:
            settings = peft.LoraConfig(
                r=config.rank, lora_alpha=cast("int", config.alpha), target_modules=self._targets
            )
            # peft draws from the global generator (the draws are replaced below), and warns of a second adapter and
            # of GPT-2's transposed weights, both of which are meant.
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.filterwarnings(
                    "ignore", message="Already found a `peft_config`|fan_in_fan_out is set to False"
                )
                peft.inject_adapter_in_model(settings, module, adapter_name=name)
        self._layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, Linear)}
        for layer in self._layers.values():
            for name in names:
                _draw(cast("nn.Linear", layer.lora_A[name]).weight, generator)
            for part in layer.modules():  # or a transformers model built around this one would draw their weights anew
                setattr(part, "_is_hf_initialized", True)  # noqa: B010 - nn.Module knows no such attribute
        self.names += names
        self._trained |= set(names) if trained else set()
        self._switch(self._active)

    def role(self, name: str | None) -> "Role":
        """The model with adapter `name` on; with None, the model without adapters."""
        return Role(self, name)

    @contextlib.contextmanager
    def using(self, name: str | None) -> Generator[None]:
        """Switches to adapter `name` for the block and back after it, whatever happens inside."""
        before = self._active
        try:
            self._switch(name)
            yield
        finally:
            self._switch(before)

    def parameters(self, name: str) -> dict[str, nn.Parameter]:
        """The weights of one adapter, by their names in the model."""
        return adapter_parameters(self.model, name)

    @cached_property
    def fingerprint(self) -> str:
        """`base_fingerprint` of the model."""
        return base_fingerprint(self.model)

    def merged(self, name: str | None) -> dict[str, Tensor]:
        """The model's weights with adapter `name` added in, under the names they have without adapters."""
        module = cast("nn.Module", self.model)
        weights = {
            key.replace(".base_layer.", "."): value for key, value in module.state_dict().items() if ".lora_" not in key
        }
        if name is not None:
            for layer_name, layer in self._layers.items():
                weights[f"{layer_name}.weight"] = weights[f"{layer_name}.weight"] + layer.get_delta_weight(name)
        return weights

    def _switch(self, name: str | None) -> None:
        for layer in self._layers.values():
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter([name])
        # peft freezes what is not active, but gradients of one role may be gathered while another is active.
        for key, parameter in cast("nn.Module", self.model).named_parameters():
            if ".lora_" in key:
                parameter.requires_grad_(key.split(".")[-2] in self._trained)
        self._active = name


@dataclass(frozen=True)
class Role:
    """One model among those that share their weights."""

    adapters: Adapters
    name: str | None

    def active(self) -> contextlib.AbstractContextManager[None]:
        """A block in which the shared weights are this model's."""
        return self.adapters.using(self.name)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What training this model changes."""
        return {} if self.name is None else self.adapters.parameters(self.name)

    def merged(self) -> dict[str, Tensor]:
        """The weights of a plain model that does the same."""
        return self.adapters.merged(self.name)


def active(role: Role | None) -> contextlib.AbstractContextManager[None]:
    """`role.active()`, or a block that changes nothing for a model that shares nothing."""
    return contextlib.nullcontext() if role is None else role.active()


def adapter_parameters(model: PreTrainedModel, name: str) -> dict[str, nn.Parameter]:
    """The weights of one adapter on `model`, or on a model that it is a part of, by their names in `model`."""
    ends = (f".lora_A.{name}.weight", f".lora_B.{name}.weight")
    return {key: p for key, p in cast("nn.Module", model).named_parameters() if key.endswith(ends)}


def base_fingerprint(model: PreTrainedModel) -> str:
    """Twelve hex digits that tell the body of a model from others, whatever adapters and heads it has.

    Weights count as bfloat16, so that it is the same whether they were loaded in that precision or in float32.
    """
    digest = hashlib.sha256()
    for key, tensor in model.base_model.state_dict().items():
        if ".lora_" not in key:
            digest.update(key.replace(".base_layer.", ".").encode())
            rounded = tensor.detach().to(torch.bfloat16).cpu().contiguous().flatten()
            digest.update(rounded.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def _linear_layers(model: PreTrainedModel) -> list[str]:
    head = model.get_output_embeddings()
    module = cast("nn.Module", model)
    names = [name for name, m in module.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    if not names:
        raise ConfigError(f"lora: {type(model).__name__} has no linear layers to adapt; leave lora out.")
    return names


@torch.no_grad()
def _draw(weight: Float[Tensor, "r n"], generator: torch.Generator) -> None:
    """Uniform with the variance that LoRA's A has by default: 1 / (3 * inputs)."""
    bound = 1.0 / math.sqrt(weight.shape[1])
    drawn = torch.rand(weight.shape, generator=generator, device=generator.device)
    weight.copy_(drawn * (2 * bound) - bound)
