"""Policies and value models: Hugging Face language models behind one small interface."""

from spanwise.models.batches import Logprobs, PromptBatch, ResponseBatch
from spanwise.models.checkpoints import load_policy
from spanwise.models.heads import ValueModel
from spanwise.models.policy import Policy
from spanwise.models.sampling import Sampling

__all__ = ["Logprobs", "Policy", "PromptBatch", "ResponseBatch", "Sampling", "ValueModel", "load_policy"]
