"""When decoders on a CPU attend in blocks instead of by PyTorch's kernel, which multiplies many small tiles.

`attend` is registered with transformers beside `sdpa`. It decides call by call, and gives what it is not made for to
transformers' own `sdpa` function: masks and caches, dropout, other devices, and types in which that is as quick. So a
model that uses it may be moved, copied, adapted and saved as before. Knows nothing of policies or batches.

Compiled code calls these functions; `no_type_check` spares it the tests' checks of shapes, which it cannot read.
"""

from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from spanwise.models.cpu.blocked_attention import causal_attention
from spanwise.models.cpu.branched_attention import read_now

NAME = "spanwise_cpu"
"""What transformers calls this attention."""
QUICKER_IN = (torch.bfloat16,)
"""Types in which blocks are quicker than PyTorch's kernel.

Measured on one core of an AMD EPYC with avx512_bf16, for 20 to 1024 tokens and heads of 48 and 64: forward 1.0 to 2.5
times and with backward 1.25 (1024 tokens) to 4.7 times (20 tokens) as quick in bfloat16; in float32 0.6 to 1.2 times.
"""
_NOT_PLAIN = ("position_bias", "cache", "softcap", "s_aux", "sliding_window", "output_attentions")
"""Arguments that ask for more than softmax(scale q k') v."""


def use_on_cpu(model: PreTrainedModel) -> None:
    """Lets a decoder on a CPU that would use `sdpa` read with `attend`; other models stay as they are.

    No checkpoint names it: transformers leaves the way of attending out of what it saves.
    """
    uses_sdpa = getattr(model.config, "_attn_implementation", None) == "sdpa"
    if uses_sdpa and model.device.type == "cpu" and not model.config.is_encoder_decoder:
        model.set_attn_implementation(NAME)


def attends_in_branches(model: PreTrainedModel) -> bool:
    """Whether the layers of a model may be told by a layout what they read; `attend` refuses what they do not take."""
    named = getattr(model.config, "_attn_implementation", None)
    return named == NAME and next(model.parameters()).device.type == "cpu"


@no_type_check
def attend(
    module: nn.Module,
    query: Float[Tensor, "b h t d"],
    key: Float[Tensor, "b kv s d"],
    value: Float[Tensor, "b kv s e"],
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Float[Tensor, "b t h e"], None]:
    """Attention as transformers asks for it: in blocks where that is possible and quicker, else by `sdpa`.

    While branches are read, as their layout says; NotImplementedError where the layer asks for more than causality.
    """
    if (layout := read_now()) is not None:
        if not _plain(module, more):
            raise NotImplementedError("this layer's attention asks for more than causality")
        scale = query.shape[3] ** -0.5 if scaling is None else scaling
        return layout.attend(module.layer_idx, query, key, value, scale), None
    if attention_mask is None and _plain(module, more) and _whole(query, key, value):
        return causal_attention(query, key, value, query.shape[3] ** -0.5 if scaling is None else scaling), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)


@no_type_check
def _plain(module: nn.Module, more: dict[str, Any]) -> bool:
    """Whether causality is all that there is besides products and softmax."""
    asked = more.get("is_causal")
    causal = getattr(module, "is_causal", True) if asked is None else asked
    others = [more.get(name) for name in _NOT_PLAIN]
    return bool(causal) and not more.get("dropout") and all(other is None or other is False for other in others)


@no_type_check
def _whole(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether these are whole sequences on a CPU, in a type for which blocks are quicker."""
    kinds = {(tensor.device.type, tensor.dtype) for tensor in (query, key, value)}
    return (
        kinds <= {("cpu", dtype) for dtype in QUICKER_IN}
        and len(kinds) == 1
        and query.shape[2] == key.shape[2]
        and query.shape[2] > 1
        and query.shape[0] == key.shape[0]
        and query.shape[3] == value.shape[3]
    )


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
