"""Reward models on disk: ordinary Hugging Face folders with model, config and tokenizer.

Knows files and versions; nothing of training or serving.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spanwise.core import CheckpointError
from spanwise.feedback import PromptConfig
from spanwise.models import Adapters, without_bars
from spanwise.models.encoding import form_of
from spanwise.reward_models.data import WU2023
from spanwise.reward_models.features import RESPONSE_FEATURES
from spanwise.reward_models.network.adapted import AdaptedRewardConfig, AdaptedRewardModel
from spanwise.reward_models.network.model import SpanRewardConfig, SpanRewardModel


def save_reward_model(path: Path, model: SpanRewardModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes model and tokenizer to `path` beside-then-rename; what was there is replaced."""
    beside, before = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    for leftover in (beside, before):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    if path.exists():
        path.rename(before)
    beside.rename(path)
    shutil.rmtree(before, ignore_errors=True)


def load_reward_model(
    path: str | Path, *, onto: Adapters | None = None, prompt: PromptConfig | None = None
) -> tuple[SpanRewardModel, PreTrainedTokenizerBase]:
    """The reward model at a folder or Hub name, ready to score; CheckpointError where there is none.

    One that is an adapter is put `onto` weights in memory where these are its base model's. ConfigError where it was
    trained on another form of prompts than `prompt` asks for.
    """
    try:
        config = AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: no reward model can be read here ({_first_line(error)}); give the checkpoints/best folder of "
            "a `spanwise reward train` run."
        ) from error
    if not isinstance(config, SpanRewardConfig):
        raise CheckpointError(
            f"{path}: holds a {config.model_type} model, not a reward model; train one on it with "
            "`spanwise reward train` and give its checkpoints/best folder."
        )
    if config.features and tuple(config.features) != RESPONSE_FEATURES:
        raise CheckpointError(
            f"{path}: the reward model reads other features than this version counts; train it again."
        )
    try:
        with without_bars():
            model = _model_at(path, config, onto)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: the reward model is damaged ({_first_line(error)}); train it again.") from error
    if prompt is not None:
        has_chat = bool(getattr(tokenizer, "chat_template", None))
        prompt.agreed(form_of(model) or WU2023, has_chat=has_chat, place=str(path))
    return model.eval(), cast("PreTrainedTokenizerBase", tokenizer)


def load_backbone(name: str, *, language_model: bool = False) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The pretrained model at a folder or Hub name, to put heads on; CheckpointError where there is none.

    A `language_model` comes with its vocabulary head.
    """
    loader = AutoModelForCausalLM if language_model else AutoModel
    try:
        with without_bars():  # whatever it was saved in, heads learn in float32
            model = loader.from_pretrained(name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"backbone: {name!r} cannot be loaded ({_first_line(error)}); give a Hugging Face model folder or name."
        ) from error
    return cast("PreTrainedModel", model), cast("PreTrainedTokenizerBase", tokenizer)


def window_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model reads at once, by its config and its tokenizer's."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [int(limit) for limit in (positions, tokenizer.model_max_length) if limit]
    return min(limits)


def fingerprint(model: SpanRewardModel) -> str:
    """Twelve hex digits that change with any weight or setting of the model."""
    digest = hashlib.sha256()
    settings = {
        key: value for key, value in model.config.to_dict().items() if not key.startswith(("_", "transformers"))
    }
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.own_tensors().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def _model_at(path: str | Path, config: SpanRewardConfig, onto: Adapters | None) -> SpanRewardModel:
    if not isinstance(config, AdaptedRewardConfig):
        return SpanRewardModel.from_pretrained(path, dtype=torch.float32)
    if onto is not None and onto.fingerprint == config.base_fingerprint:
        return AdaptedRewardModel.sharing(path, onto, f"reward{len(onto.names)}")
    return AdaptedRewardModel.from_pretrained(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
