"""Going on after a kill: which run a folder holds, and whether it is the one that was asked for.

A run is its settings, its start policy, its prompts and its reward sources; whatever else may differ changes no number.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from spanwise.core import CheckpointError, Config, ConfigError
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.rewards import RewardPipeline

FREE_SETTINGS = ("run_dir.", "resume.", "training_states.", "rollout.server.")
"""Settings that may change between a run and its continuation."""


def holds_run(folder: Path) -> bool:
    """Whether anything was logged there."""
    return (folder / "metrics.jsonl").exists()


def check_same_settings(folder: Path, config: Config) -> None:
    """Raises ConfigError that names the keys in which the run in `folder` differs from `config`; steps may be more."""
    saved = folder / "config.yaml"
    if not saved.exists():
        raise ConfigError(f"{folder}: holds a run already, but no config.yaml; choose another run_dir.")
    there, here = (dict(_flat(c.model_dump(mode="json"))) for c in (type(config).load(saved), config))
    differing = [
        f"{key} ({there.get(key)!r} there, {here.get(key)!r} here)"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key) and not _may_differ(key, there.get(key), here.get(key))
    ]
    if differing:
        raise ConfigError(
            f"{folder}: holds a run already, with other settings: {', '.join(differing)}; "
            "choose another run_dir or give the same settings."
        )


def _may_differ(key: str, there: Any, here: Any) -> bool:
    """Whether a run stays itself with another value: where and how it is kept, and more steps than were asked for."""
    more = key == "steps" and isinstance(there, int) and isinstance(here, int) and here > there
    return more or f"{key}.".startswith(FREE_SETTINGS)


def fingerprints(
    policy: Policy, pipeline: RewardPipeline, prompts: Mapping[str, Sequence[PromptRecord]]
) -> dict[str, str]:
    """What a run starts from, by name: checksums of weights and prompts, and the versions of the reward sources."""
    sources = {f"reward source {source.name}": source.version for source in pipeline.sources}
    digests = {
        label: _digest(record.model_dump_json().encode() for record in records) for label, records in prompts.items()
    }
    return {"policy": _digest(_weights(policy)), **digests, **sources}


def check_same_start(there: Mapping[str, str], here: Mapping[str, str], place: str) -> None:
    """Raises CheckpointError that names what is no longer what the run at `place` started from."""
    differing = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    if differing:
        raise CheckpointError(
            f"{place}: its run started from other inputs than these: {', '.join(differing)} changed; "
            "restore them or choose another run_dir."
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _weights(policy: Policy) -> Iterator[bytes]:
    for name, parameter in policy.model.named_parameters():
        yield name.encode()
        yield parameter.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
