"""Whether an engine is ready for token rewards here, and what of them it would lose: `spanwise doctor`.

An engine's plug-in fails far away, in a process whose complaints nobody reads. The doctor asks first. Imports engines
only to look at them.
"""

# Hydra and OmegaConf come with verl.
# pyright: reportMissingImports=false

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from spanwise.core import ConfigError, SpanwiseError
from spanwise.integrations.registry import check_version, load_rewards

PLUG_IN = "spanwise.integrations.verl"
COLLAPSING = (
    "grpo",
    "rloo",
    "opo",
    "gpg",
    "reinforce_plus_plus_baseline",
    "grpo_vectorized",
    "rloo_vectorized",
    "remax",
)
"""Estimators of verl that add up the rewards of an answer and give all its tokens one number."""
QUEUE_CPUS = 9
"""With fewer CPUs in Ray, verl's queue waits for ever for its eight storage units."""
NEEDED = ("ray", "tensordict", "transfer_queue", "zmq", "fastapi", "uvicorn", "cachetools")
"""What verl's agent loop imports; its plain installation brings the first two alone."""
PATIENCE_S = 600
"""How long a process of Ray may take to answer, in seconds."""
IN_A_WORKER = """
import json, os, ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
@ray.remote
def known():
    import verl
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry as loops
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY as estimators
    return sorted(map(str, estimators)), sorted(loops)
print("KNOWN", json.dumps(ray.get(known.remote())))
"""


class Finding(NamedTuple):
    """One thing that was looked at."""

    verdict: Literal["good", "bad", "warning"]
    sentence: str


def examine_verl(config: Path | None, *, workers: bool = True) -> Iterator[Finding]:
    """What was found, one by one: packages, environment, registration in a process of Ray, and the run's config.

    `config` is a whole config of verl, as `spanwise export verl` writes; None leaves the run itself out.
    """
    try:
        yield Finding("good", f"verl {check_version('verl')} is a version that the plug-in was tested with.")
    except ConfigError as error:
        yield Finding("bad", str(error))
        return
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        yield Finding("bad", f"verl lacks {', '.join(missing)}; install them with: pip install 'verl[verl-core]'")
        return
    yield from _environment()
    try:
        importlib.import_module(PLUG_IN)
        yield Finding("good", f"{PLUG_IN} imports here.")
    except Exception as error:  # noqa: BLE001 - whatever it is would be silent in a worker
        yield Finding("bad", f"{PLUG_IN} fails at import: {type(error).__name__}: {error}")
        return
    if workers:
        yield from _worker()
    if config is not None:
        yield from _run(config)


def _environment() -> Iterator[Finding]:
    modules = os.environ.get("VERL_USE_EXTERNAL_MODULES", "").split(",")
    if PLUG_IN in modules:
        yield Finding("good", "VERL_USE_EXTERNAL_MODULES names the plug-in.")
    else:
        yield Finding("bad", f"VERL_USE_EXTERNAL_MODULES does not name the plug-in; export it as {PLUG_IN}.")
    file = os.environ.get("SPANWISE_REWARDS")
    if not file:
        yield Finding("bad", "SPANWISE_REWARDS names no file; export it as the rewards.yaml of the run.")
        return
    try:
        load_rewards(Path(file))
        yield Finding("good", f"{file} describes rewards.")
    except SpanwiseError as error:
        yield Finding("bad", str(error))


def _worker() -> Iterator[Finding]:
    """Asks a process of Ray what it knows, in a process of its own: a Ray that is started here would stay."""
    asked = {"VERL_USE_EXTERNAL_MODULES": PLUG_IN, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    environment = {**os.environ, **asked}
    try:
        done = subprocess.run(
            [sys.executable, "-c", IN_A_WORKER],
            env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield Finding("bad", f"No process of Ray answered within {PATIENCE_S // 60} minutes; look into /tmp/ray.")
        return
    line = next((line for line in done.stdout.splitlines() if line.startswith("KNOWN ")), None)
    if line is None:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        yield Finding("bad", f"Ray did not start, or its processes cannot import the plug-in: {last}")
        return
    estimators, loops = json.loads(line.removeprefix("KNOWN "))
    for name in ("spanwise_grpo", "spanwise_rloo"):
        known = name in estimators
        yield Finding("good" if known else "bad", f"A process of Ray {'knows' if known else 'lacks'} {name}.")
    known = "spanwise_single_turn" in loops
    yield Finding("good" if known else "bad", f"A process of Ray {'knows' if known else 'lacks'} the agent loop.")


def _run(path: Path) -> Iterator[Finding]:
    try:
        config = composed(path)
    except Exception as error:  # noqa: BLE001 - Hydra and OmegaConf raise many kinds
        yield Finding("bad", f"{path}: verl cannot read it: {str(error).splitlines()[0]}")
        return
    yield from examine_run(config, os.cpu_count() or 1)


def composed(path: Path) -> Mapping[str, Any]:
    """Verl's config with all its defaults, as plain values."""
    from hydra import compose, initialize_config_dir  # noqa: PLC0415 - come with verl
    from omegaconf import OmegaConf  # noqa: PLC0415

    with initialize_config_dir(str(path.resolve().parent), version_base=None):
        values: Any = OmegaConf.to_container(compose(path.stem), resolve=False)
    return values


def examine_run(config: Mapping[str, Any], cpus: int) -> Iterator[Finding]:
    """What of token rewards a run with this config would lose."""
    estimator = config["algorithm"]["adv_estimator"]
    if estimator in COLLAPSING:
        yield Finding(
            "bad", f"algorithm.adv_estimator={estimator} adds up the rewards of an answer: set spanwise_grpo."
        )
    else:
        yield Finding("good", f"algorithm.adv_estimator={estimator} keeps a reward for every token.")
    manager = config["reward"]["reward_manager"]
    if manager["name"] != "SpanwiseRewardManager" or PLUG_IN not in str(manager["module"].get("path")):
        yield Finding("bad", "reward.reward_manager is another's: no token rewards; set it as `spanwise export` does.")
    loop = config["actor_rollout_ref"]["rollout"]["agent"]["default_agent_loop"]
    if loop != "spanwise_single_turn":
        yield Finding("bad", f"rollout.agent.default_agent_loop={loop} keeps the sum alone: set spanwise_single_turn.")
    if config["reward"]["reward_model"]["enable"]:
        yield Finding("bad", "reward.reward_model.enable=True goes past the reward manager: set it to False.")
    if config["reward"].get("custom_reward_function", {}).get("path"):
        yield Finding("warning", "reward.custom_reward_function is not asked by Spanwise's reward manager.")
    units = config["transfer_queue"]["backend"]["SimpleStorage"]["num_data_storage_units"]
    if cpus < QUEUE_CPUS and units > 1:
        yield Finding(
            "bad", f"{cpus} CPUs and {units} storage units: the queue waits for ever; set num_data_storage_units=1."
        )
