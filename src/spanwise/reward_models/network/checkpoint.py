"""Reward models on disk: ordinary Hugging Face folders with model, config and tokenizer.

Knows files and versions; nothing of training or serving.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spanwise.core import CheckpointError, SpanwiseError
from spanwise.feedback import PromptConfig
from spanwise.models import Adapters, check_downloaded, load_body, load_tokenizer, without_bars
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
    check_downloaded(path)
    try:
        config = AutoConfig.from_pretrained(path)
    except Exception as error:  # whatever a damaged config makes of transformers
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
    except SpanwiseError:
        raise
    except Exception as error:  # whatever a damaged folder makes of transformers
        raise CheckpointError(f"{path}: the reward model is damaged ({_first_line(error)}); train it again.") from error
    tokenizer = load_tokenizer(path)
    if prompt is not None:
        has_chat = bool(getattr(tokenizer, "chat_template", None))
        prompt.agreed(form_of(model) or WU2023, has_chat=has_chat, place=str(path))
    return model.eval(), tokenizer


def load_backbone(name: str, *, language_model: bool = False) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The pretrained model at a folder or Hub name, to put heads on; CheckpointError where there is none.

    A `language_model` comes with its vocabulary head.
    """
    check_downloaded(name)
    try:  # whatever it was saved in, heads learn in float32
        if not language_model:
            model = load_body(name, dtype=torch.float32)
        else:
            with without_bars():
                model = cast("PreTrainedModel", AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32))
    except Exception as error:  # whatever a damaged folder makes of transformers
        raise CheckpointError(
            f"backbone: {name!r} cannot be loaded ({_first_line(error)}); give a Hugging Face model folder or name."
        ) from error
    _check_reads(name, model)
    return model, load_tokenizer(name)


def _check_reads(name: str, model: PreTrainedModel) -> None:
    """Raises CheckpointError for a model that gives no state per token; encoder-decoders are refused later."""
    if model.config.is_encoder_decoder:
        return
    ids = torch.zeros((1, 2), dtype=torch.long)
    body: Any = model.base_model
    try:
        with torch.no_grad():
            states = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        fits = tuple(states.shape[:2]) == (1, 2)
    except Exception as error:  # every architecture has complaints of its own
        reason = f"a {model.config.model_type} model that cannot be read token by token ({_first_line(error)})"
        raise CheckpointError(f"backbone: {name!r} is {reason}; give an encoder or a causal model.") from error
    if not fits:
        raise CheckpointError(
            f"backbone: {name!r} is a {model.config.model_type} model without a state for each token; give an encoder "
            "or a causal model."
        )


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
