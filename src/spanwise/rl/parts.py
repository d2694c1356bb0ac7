"""What a run is made of, and what must hold of it before the first step. Nothing here samples or learns."""

from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.core import ConfigError, DataError
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.rewards import RewardPipeline
from spanwise.rl.algorithms import Algorithm
from spanwise.rl.config import TrainerConfig
from spanwise.rl.metrics import RESERVED_NAMES
from spanwise.rl.rollout import TokenSpansOf
from spanwise.rl.runtime import Sampler
from spanwise.training import Processes


@dataclass(frozen=True)
class TrainerParts:
    """What a run is made of. The policy is trained in place; a frozen copy of it is the reference."""

    policy: Policy
    pipeline: RewardPipeline
    prompts: Sequence[PromptRecord]
    heldout: Sequence[PromptRecord]
    algorithm: Algorithm
    sampler: Sampler | None = None
    """What samples the rollouts where it is not the policy itself; its samples are weighted by `rollout.correction`."""
    token_spans: TokenSpansOf | None = None
    """Which characters of a response each token is paid for; None: those that it wrote."""


def check_parts(config: TrainerConfig, parts: TrainerParts) -> None:
    """Raises ConfigError or DataError for what would stop the run later: names, empty sets, prompts that do not fit."""
    for source in parts.pipeline.mixture.names:
        if source in RESERVED_NAMES:
            raise ConfigError(f"A reward source is named {source!r}, which the log uses itself; give it another name.")
    room = _room(config, parts.policy)
    for label, records in (("prompts", parts.prompts), ("heldout", parts.heldout)):
        if not records:
            raise DataError(f"{label}: no prompts; give at least one.")
        for number, record in enumerate(records):
            length = int(parts.policy.encode_prompts([record]).lengths[0])
            if length > room:
                raise DataError(
                    f"{label}, record {number + 1} (id {record.id!r}): {length} tokens, there is room for {room}; "
                    "shorten it, raise rollout.max_prompt_tokens or lower sampling.max_new_tokens."
                )


def check_processes(config: TrainerConfig, processes: Processes) -> None:
    """Raises ConfigError for too few prompts for every process to have one, and for split weights to be compiled."""
    if processes.splits and config.compile:
        raise ConfigError("compile=true does not go with weights split over processes (FSDP); set it to false.")
    if config.rollout.prompts_per_step < processes.count:
        raise ConfigError(
            f"rollout.prompts_per_step={config.rollout.prompts_per_step} leaves some of {processes.count} processes "
            "without a prompt; raise it or start fewer processes."
        )


def _room(config: TrainerConfig, policy: Policy) -> int:
    """Tokens that a prompt may have."""
    if policy.window is None or policy.is_encoder_decoder:
        return config.rollout.max_prompt_tokens
    left = policy.window - config.sampling.max_new_tokens
    if left < 1:
        raise ConfigError(
            f"sampling.max_new_tokens={config.sampling.max_new_tokens} leaves no room for a prompt in the policy's "
            f"window of {policy.window} tokens; lower it."
        )
    return min(config.rollout.max_prompt_tokens, left)
