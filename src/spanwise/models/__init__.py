"""Policies and value models: Hugging Face language models behind one small interface."""

from typing import TYPE_CHECKING

from spanwise.lazy import lazy_names
from spanwise.models.config import Sampling

if TYPE_CHECKING:
    from spanwise.models.batches import Logprobs, PromptBatch, ResponseBatch
    from spanwise.models.checkpoints import load_policy
    from spanwise.models.heads import ValueModel
    from spanwise.models.policy import Policy

__all__ = ["Logprobs", "Policy", "PromptBatch", "ResponseBatch", "Sampling", "ValueModel", "load_policy"]

__getattr__ = lazy_names(
    __name__,
    {
        "Logprobs": "batches",
        "Policy": "policy",
        "PromptBatch": "batches",
        "ResponseBatch": "batches",
        "ValueModel": "heads",
        "load_policy": "checkpoints",
    },
)
