"""The engines: tested versions, and what every plug-in needs, the rewards of a file and the prompt of a row."""

import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from spanwise.core import ConfigError, DataError
from spanwise.feedback import Place, PromptConfig, PromptRecord, parse_record, text_prompt
from spanwise.rewards import EngineRewardsConfig, RewardPipeline, RewardsConfig, load_pipeline
from spanwise.rl import RLConfig

RECORD = "record"
"""Under this name an engine's data carry the prompt as Spanwise knows it, a JSON line: its passages, its metadata."""
REWARDS_FILE, DEVICE = "SPANWISE_REWARDS", "SPANWISE_DEVICE"
"""Environment variables: the YAML file that says what answers earn, and where its models run (without it cpu)."""
TESTED = {"trl": ("1.16", "1.17"), "verl": ("0.9.1", "0.9.2"), "skyrl": ("0.3.0", "0.3.1")}
"""Engines, with the first version that the plug-in was tested with and the first that it was not."""


def check_version(engine: str) -> str:
    """The version of the installed engine; raises ConfigError for none and for one outside the tested range."""
    first, beyond = TESTED[engine]
    try:
        found = version(engine)
    except PackageNotFoundError as error:
        raise ConfigError(f"{engine} is not installed; install it with: pip install '{engine}=={first}'") from error
    if not _number(first) <= _number(found) < _number(beyond):
        raise ConfigError(
            f"{engine} {found} is outside of what the plug-in was tested with, {first} to below {beyond}; "
            f"install it with: pip install '{engine}>={first},<{beyond}'"
        )
    return found


def _number(text: str) -> tuple[int, ...]:
    parts = [part for part in text.split("+", maxsplit=1)[0].split(".") if part.isdecimal()]
    return tuple(map(int, parts))


def load_rewards(path: Path) -> RewardsConfig:
    """The rewards that a file describes: the config of a `spanwise rl` run, or those sections of it alone."""
    rewards = EngineRewardsConfig.load(path)
    whole = "policy" in yaml.safe_load(path.read_text(encoding="utf-8"))
    (RLConfig if whole else RewardsConfig).load(path)  # so that a mistake in the rest is told, too
    return rewards


def rewards_of_environment() -> RewardPipeline:
    """The rewards of the run, loaded once in a process; raises ConfigError where the variable names no file."""
    file = os.environ.get(REWARDS_FILE)
    if not file:
        raise ConfigError(f"{REWARDS_FILE} names no file; set it to the rewards of the run in every process.")
    return _pipeline(Path(file), os.environ.get(DEVICE, "cpu"))


@cache
def _pipeline(path: Path, device: str) -> RewardPipeline:
    return load_pipeline(load_rewards(path), device=device)


def record_of(fields: Mapping[str, Any], place: str) -> PromptRecord:
    """The prompt in an engine's row; raises DataError that names `place` where there is none, or none of ours."""
    line = fields.get(RECORD)
    if not isinstance(line, str):
        raise DataError(
            f"{place}: has no {RECORD!r}; make the data with spanwise, which keeps prompt and passages there."
        )
    record = parse_record(line.encode(), PromptRecord, Place(place, 1, line.encode()))
    if isinstance(record, list):
        raise DataError(str(record[0]))
    return record


def prompt_of(record: PromptRecord, form: PromptConfig) -> str | list[dict[str, Any]]:
    """What an engine's policy is asked: a text, or the turns of a conversation for its tokenizer's chat template.

    Raises ConfigError for a form that an engine cannot write.
    """
    if record.messages:
        return [turn.model_dump(mode="json", exclude_defaults=True) for turn in record.messages]
    if record.verbatim:
        return record.prompt
    if form.takes_turns:
        raise ConfigError(f"prompt.form={form.form}: {record.prompt!r:.60} is no conversation; give it messages.")
    return text_prompt(form, record, record.read_passages)


def row_of(record: PromptRecord) -> dict[str, str]:
    """What goes into an engine's row for `record_of` to find."""
    return {RECORD: record.model_dump_json(exclude_defaults=True)}
