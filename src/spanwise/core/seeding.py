"""Explicit randomness: one seed in the config, one independent generator per purpose.

No code in Spanwise draws from a global generator. A purpose is a short name ("rollout", "shuffle"); its
generator depends on nothing but the seed and that name, so that adding a draw in one place leaves all
others as they were.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, purpose: str) -> int:
    """A seed in [0, 2**63) for `purpose`, the same on every machine and Python version."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, purpose: str) -> np.random.Generator:
    """A NumPy generator for `purpose`."""
    return np.random.default_rng(derive_seed(seed, purpose))


def torch_generator(seed: int, purpose: str, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """A torch generator for `purpose` on `device`; torch is imported on the first call only."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, purpose))
