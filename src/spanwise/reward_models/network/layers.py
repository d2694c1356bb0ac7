"""Shortens a pretrained backbone to its first layers: heads often read more from the middle of a small encoder.

The shortened model is an ordinary one with fewer layers, so that it is also cheaper to train, to store and to serve.
"""

import copy
from typing import cast

import torch
from transformers import AutoModel, PreTrainedModel

from spanwise.core import ConfigError


def first_layers(body: PreTrainedModel, count: int) -> PreTrainedModel:
    """A model of the first `count` layers of `body`, whose weights are copied; ConfigError where it has fewer."""
    config = copy.deepcopy(body.config)
    inner = config.get_text_config()
    total = int(inner.num_hidden_layers)
    if count > total:
        raise ConfigError(f"layers: {count} asked for, the backbone has {total}; lower it.")
    inner.num_hidden_layers = count
    if getattr(inner, "layer_types", None):
        inner.layer_types = inner.layer_types[:count]
    with torch.random.fork_rng():  # layers draw their first weights from the global generator
        shorter = cast("PreTrainedModel", AutoModel.from_config(config))
    missing = shorter.load_state_dict(body.state_dict(), strict=False).missing_keys
    if missing:
        raise ConfigError(f"layers: a {config.model_type} backbone cannot be shortened ({missing[0]}); leave it empty.")
    return shorter
