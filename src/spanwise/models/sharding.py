"""Weights split over processes by FSDP2: every process holds a part of each layer and borrows the rest to read with it.

The layers are split; embeddings, last norm and heads, which also serve outside the backbone, are held whole by all. To
read by split weights all processes must make the same calls in the same order (`Backbone.lockstep`); inside `gathered`
the weights are whole and everybody is free. Settings come from `accelerate launch`. Knows nothing of training.
"""

import contextlib
from collections.abc import Generator, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from spanwise.core import ConfigError
from spanwise.models.backbone import Backbone


def split(backbone: Backbone, processes: int) -> None:
    """Splits the layers of `backbone` over the processes and moves it to this process's device.

    Gradients of split weights are summed over the processes. Raises ConfigError for a model without known layers.
    """
    backbone.lockstep = True
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    names, mesh = _layer_names(), init_device_mesh(kind, (processes,))
    for root in (backbone.encoder, backbone.decoder):
        if root is None or isinstance(root, FSDPModule):  # which another role has split already
            continue
        wanted = names or set(cast("Any", root)._no_split_modules or ())
        layers = [module for module in root.modules() if type(module).__name__ in wanted]
        if not layers:
            raise ConfigError(
                f"{type(root).__name__} names no layers to split; set fsdp_transformer_layer_cls_to_wrap."
            )
        inner = {parameter for layer in layers for parameter in layer.parameters()}
        for layer in layers:
            part = fully_shard(layer, mesh=mesh, mp_policy=MixedPrecisionPolicy(reduce_dtype=torch.float32))
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        # A root that owns no weights: it lets the layers fetch ahead of each other.
        fully_shard(root, mesh=mesh, ignored_params=set(root.parameters()) - inner)
    backbone.to(torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else kind)


@contextlib.contextmanager
def gathered(backbone: Backbone) -> Generator[None]:
    """A block in which the weights are whole, so that processes may read what and as often as they like.

    All processes must enter it. Nothing happens where the weights are not split.
    """
    parts = [module for module in backbone.modules() if isinstance(module, FSDPModule)]
    try:
        for part in parts:
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with split ones put together, on the CPU; all processes must ask for them."""
    return {name: t.full_tensor().cpu() if isinstance(t, DTensor) else t for name, t in tensors.items()}


def local(tensor: Tensor) -> Tensor:
    """This process's part of a split tensor, in the same memory; another tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def joined(part: Tensor, like: DTensor) -> Tensor:
    """The whole, on the CPU, of parts that are split as `like` is; all processes must ask for it."""
    mine = DTensor.from_local(part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())
    return mine.full_tensor().cpu()


def part_of(tensor: Tensor, like: DTensor) -> Tensor:
    """This process's part of a tensor that all have, split as `like` is."""
    there = tensor.to(like.device)
    return distribute_tensor(there, like.device_mesh, like.placements, src_data_rank=None).to_local()


def _layer_names() -> set[str]:
    """The classes of layers that the launch's configuration names, if any; ConfigError for what it cannot have here."""
    from accelerate import FullyShardedDataParallelPlugin  # noqa: PLC0415 - a second that one process does without

    plugin = FullyShardedDataParallelPlugin()
    refused = {
        "fsdp_version other than 2": plugin.fsdp_version != 2,
        "fsdp_reshard_after_forward: false": plugin.reshard_after_forward is not True,
        "fsdp_offload_params": isinstance(plugin.cpu_offload, CPUOffloadPolicy),
        "fsdp_activation_checkpointing": bool(plugin.activation_checkpointing),
    }
    for name, is_set in refused.items():
        if is_set:
            raise ConfigError(f"The launch's configuration has {name}, which there is not here; change it.")
    return set(plugin.transformer_cls_names_to_wrap or ())
