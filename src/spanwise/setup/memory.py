"""What a step needs of a machine's memory and disk: estimates from sizes and settings, told as such.

Weights, their gradients and what AdamW remembers are counted exactly; what a forward pass keeps for the backward pass
is a rule of thumb for layers of today's kinds (about 10 numbers of the hidden width and 4 of the inner width for each
token and layer). Runs in one process; several share by `recipes/accelerate`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from spanwise.models import precision
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
from spanwise.rl import RLConfig
from spanwise.setup.anatomy import FULL, HALF, Anatomy
from spanwise.training import SFTRunConfig

GB = 1e9
TRAINED = {FULL: 16, HALF: 18}
"""Bytes of a trained weight by the bytes of its precision: in single precision weight, gradient and AdamW's two
numbers; in half precision the weight, and a copy in single precision with gradient and the two numbers."""
HIDDEN_KEPT, INNER_KEPT = 10, 4
"""Numbers of hidden and inner width that a token leaves behind in a layer for the backward pass."""
ENCODED_AT_ONCE = 8192
"""Tokens that a reward model reads at a time, roughly."""


@dataclass(frozen=True, slots=True)
class Share:
    """One thing that takes memory, in bytes."""

    what: str
    size: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a device, or of the machine; None where it does not say."""

    total: float | None
    free: float | None


def machine_memory(device: str) -> Memory:
    """Of the GPU, else of the machine, within what its container may take."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(torch.device(device))
        return Memory(float(total), float(free))
    if device != "cpu":
        return Memory(None, None)
    known = psutil.virtual_memory()
    limit = _container_limit() or known.total
    return Memory(float(min(known.total, limit)), float(min(known.available, limit)))


def _container_limit() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def memory_of_sft(config: SFTRunConfig, model: Anatomy, device: str) -> list[Share]:
    """Of `spanwise sft`: weights and updates stay in single precision, whatever the arithmetic."""
    size = _size(config.dtype, device)
    longest = config.max_prompt_tokens + config.max_response_tokens
    tokens = max(config.micro_batch_tokens, longest)
    cast = [Share("weights cast for the arithmetic", HALF * model.parameters)] if size == HALF else []
    return [_trained("the policy", model.parameters, FULL), *cast, _activations(model, tokens, size)]


def memory_of_reward(config: RewardModelConfig | TokenRewardConfig, model: Anatomy) -> list[Share]:
    """Of `spanwise reward train`; linear heads leave the backbone as it is."""
    window = min(length for length in (config.max_length, model.window, 1 << 20) if length is not None)
    tokens = max(window, ENCODED_AT_ONCE) if config.fitting.method == "linear" else window * config.fitting.batch_size
    if config.fitting.method == "linear":
        return [Share("weights of the backbone", FULL * model.parameters), _states(model, tokens)]
    if config.lora is not None:
        weights = [Share("weights of the backbone", FULL * model.parameters), _adapter(model, config.lora.rank)]
        return [*weights, _activations(model, tokens, FULL)]
    return [_trained("the backbone", model.parameters, FULL), _activations(model, tokens, FULL)]


def memory_of_rl(config: RLConfig, model: Anatomy, device: str) -> list[Share]:
    """Of `spanwise rl` in one process: the four roles, one micro-batch of an update, the cache of a rollout."""
    size = _size(config.dtype, device)
    tokens = config.rollout.max_prompt_tokens + config.sampling.max_new_tokens
    micro = config.update.micro_batch_size * tokens
    if config.update.micro_batch_tokens is not None:
        micro = min(micro, config.update.micro_batch_tokens)
    rows = config.rollout.responses_per_step()
    return [
        *_roles(config, model, size),
        *_reward_models(config),
        _activations(model, micro, size),
        Share(f"the cache of {rows} answers", rows * tokens * model.layers * model.kv_width * size),
    ]


def _roles(config: RLConfig, model: Anatomy, size: int) -> Iterator[Share]:
    own_value = config.algorithm == "ppo" and config.value_backbone == "own"
    if config.lora is not None:
        yield Share("weights that policy, reference and value model share", size * model.parameters)
        yield _adapter(model, config.lora.rank)
        if own_value:
            yield _adapter(model, config.lora.rank)
        return
    yield _trained("the policy", model.parameters, size)
    yield Share("weights of the reference", size * model.parameters)
    if own_value:
        yield _trained("the value model", model.parameters, size)


def _reward_models(config: RLConfig) -> Iterator[Share]:
    for name, use in config.reward_models.items():
        weights = [*Path(use.checkpoint).glob("*.safetensors")] if Path(use.checkpoint).is_dir() else []
        if weights:
            yield Share(f"the reward model {name}", float(sum(file.stat().st_size for file in weights)))


def disk_of_sft(model: Anatomy) -> float:
    """Bytes: the best checkpoint, and the next one while it takes its place."""
    return 2 * FULL * model.parameters


def disk_of_rl(config: RLConfig, model: Anatomy, device: str) -> float:
    """Bytes: training states (weights and AdamW's numbers, one more while it is written), the best and last policy."""
    size = _size(config.dtype, device)
    if config.lora is not None:
        return 2 * size * model.parameters
    models = 2 if config.algorithm == "ppo" and config.value_backbone == "own" else 1
    state = models * (2 * FULL + FULL) * model.parameters
    return (config.training_states.keep + 1) * state + 3 * size * model.parameters


def _size(dtype: Any, device: str) -> int:
    return HALF if precision(dtype, device) == torch.bfloat16 else FULL


def _trained(what: str, parameters: int, size: int) -> Share:
    return Share(f"{what}: weights, gradients, AdamW ({TRAINED[size]} bytes a weight)", TRAINED[size] * parameters)


def _adapter(model: Anatomy, rank: int) -> Share:
    """An adapter on all linear layers: four of attention, three of the feed-forward part."""
    weights = model.layers * rank * (8 * model.hidden + 3 * (model.hidden + model.inner))
    return Share("an adapter: weights, gradients, AdamW", TRAINED[FULL] * weights)


def _activations(model: Anatomy, tokens: int, size: int) -> Share:
    kept = tokens * model.layers * (HIDDEN_KEPT * model.hidden + INNER_KEPT * model.inner)
    return Share(f"what {tokens:,} tokens leave for the backward pass", kept * size)


def _states(model: Anatomy, tokens: int) -> Share:
    return Share("reading", FULL * tokens * (6 * model.hidden + 2 * model.inner))


def gigabytes(size: float) -> str:
    """A size in words."""
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 1e6:.0f} MB"
