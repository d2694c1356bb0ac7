"""Which floating-point precision a model computes in, and where half of it pays. Knows nothing of models."""

import torch

from spanwise.models.config import PrecisionName


def precision(name: PrecisionName, device: torch.device | str) -> torch.dtype:
    """The type of that name; with auto, bfloat16 where the processor multiplies matrices in it."""
    if name == "auto":
        return torch.bfloat16 if is_made_for_bfloat16(torch.device(device)) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def is_made_for_bfloat16(device: torch.device) -> bool:
    """Whether `device` has instructions that multiply matrices in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage] - the only way to ask
    return False
