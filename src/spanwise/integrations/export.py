"""Our run as another engine's: its settings from the config of `spanwise rl`, and its data from our prompts.

What an engine cannot carry is said, never left out in silence. Imports no engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from spanwise.core import ConfigError, DataError, atomic_path, write_text
from spanwise.feedback import PromptRecord, load_or_raise
from spanwise.integrations.registry import prompt_of, row_of
from spanwise.rewards import RewardsConfig
from spanwise.rl import RLConfig

VERL_ESTIMATORS = {
    "ppo": "gae",
    "grpo": "spanwise_grpo",
    "rloo": "spanwise_rloo",
    "reinforce++": "reinforce_plus_plus",
}
VERL_KL = {"k1": "kl", "k2": "mse", "k3": "low_var_kl"}
PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The policy reads prompts that are texts as they are: they hold all that it needs."""


def export_verl(config: RLConfig, output: Path) -> list[str]:
    """Writes verl's settings, rewards, data and a command into the folder `output`.

    Returns a sentence for everything of the config that verl does otherwise or not at all. Raises ConfigError for an
    algorithm that it does not have.
    """
    if config.algorithm not in VERL_ESTIMATORS:
        raise ConfigError(f"algorithm={config.algorithm}: verl has no such algorithm; choose {_known()}.")
    folder = output.resolve()
    files = {"train": config.prompts, "heldout": config.heldout}
    parts = {name: load_or_raise(path, PromptRecord) for name, path in files.items()}
    asked = {name: [prompt_of(record, config.prompt) for record in part] for name, part in parts.items()}
    kinds = {type(prompt) for part in asked.values() for prompt in part}
    if len(kinds) > 1:
        raise DataError("Some prompts are conversations and some are not; verl reads all by one template.")
    for name, part in parts.items():
        _write_rows(folder / f"{name}.parquet", part, asked[name], name)
    write_text(folder / "rewards.yaml", _yaml(_rewards(config).model_dump(mode="json")))
    write_text(folder / "verl.yaml", _yaml(verl_settings(config, folder, conversations=list in kinds)))
    write_text(folder / "run.sh", _command(folder))
    return _not_carried(config)


def verl_settings(config: RLConfig, folder: Path, *, conversations: bool = False) -> dict[str, Any]:
    """Verl's own config: its defaults, and what our config says otherwise."""
    return {
        "hydra": {"searchpath": ["pkg://verl.trainer.config"]},
        "defaults": ["ppo_trainer", "_self_"],
        "data": {
            "train_files": str(folder / "train.parquet"),
            "val_files": str(folder / "heldout.parquet"),
            "train_batch_size": config.rollout.prompts_per_step,
            "max_prompt_length": config.rollout.max_prompt_tokens,
            "max_response_length": config.sampling.max_new_tokens,
            "seed": config.seed,
        },
        "actor_rollout_ref": {
            "model": _model(config, conversations=conversations),
            "actor": _actor(config),
            "rollout": {
                "name": "vllm",
                "n": config.rollout.samples_per_prompt,
                "temperature": config.sampling.temperature,
                "top_k": config.sampling.top_k or -1,
                "agent": {"default_agent_loop": "spanwise_single_turn"},
                "calculate_log_probs": True,
            },
        },
        "critic": {
            "optim": {"lr": config.value_optimizer.learning_rate},
            "model": {"path": config.policy},
            "cliprange_value": config.ppo.clip_range_value,
        },
        "algorithm": _algorithm(config),
        "reward": {
            "reward_manager": {
                "source": "importlib",
                "name": "SpanwiseRewardManager",
                "module": {"path": "pkg://spanwise.integrations.verl"},
            }
        },
        "trainer": {
            "total_training_steps": config.steps,
            "critic_warmup": config.value_warmup_steps if config.algorithm == "ppo" else 0,
            "test_freq": config.evaluation.every,
            "default_local_dir": str(folder / "checkpoints"),
            "logger": ["console"],
        },
    }


def _model(config: RLConfig, *, conversations: bool) -> dict[str, Any]:
    template = {} if conversations else {"custom_chat_template": PLAIN_TEMPLATE}
    lora = {} if config.lora is None else {"lora_rank": config.lora.rank, "lora_alpha": config.lora.alpha}
    return {"path": config.policy, **template, **lora}


def _actor(config: RLConfig) -> dict[str, Any]:
    ppo, responses = config.ppo, config.update.minibatch_size or config.rollout.responses_per_step()
    settings: dict[str, Any] = {
        "optim": {"lr": config.policy_optimizer.learning_rate},
        # verl counts prompts here
        "ppo_mini_batch_size": max(1, responses // config.rollout.samples_per_prompt),
        "ppo_epochs": config.update.epochs,
        "use_dynamic_bsz": True,
        "clip_ratio": ppo.clip_range,
        "clip_ratio_low": ppo.clip_range,
        "clip_ratio_high": ppo.clip_range if ppo.clip_range_high is None else ppo.clip_range_high,
        "loss_agg_mode": ppo.loss_aggregation,
        "use_kl_loss": config.kl.where == "loss",
    }
    if ppo.dual_clip is not None:
        settings["clip_ratio_c"] = ppo.dual_clip
    if config.kl.where == "loss":
        settings |= {"kl_loss_coef": config.kl.coef, "kl_loss_type": VERL_KL[config.kl.estimator]}
    return settings


def _algorithm(config: RLConfig) -> dict[str, Any]:
    grouped = config.algorithm in ("grpo", "rloo")
    ending = "_relative" if grouped and config.group.match == "relative" else ""
    settings: dict[str, Any] = {
        "adv_estimator": VERL_ESTIMATORS[config.algorithm] + ending,
        "gamma": config.ppo.gamma,
        "lam": config.ppo.gae_lambda,
        "norm_adv_by_std_in_grpo": config.group.divide_by_std,
        "use_kl_in_reward": config.kl.where == "reward",
        "kl_penalty": VERL_KL[config.kl.estimator],
    }
    if config.kl.target is None:
        return {**settings, "kl_ctrl": {"type": "fixed", "kl_coef": config.kl.coef}}
    adaptive = {"target_kl": config.kl.target, "horizon": config.kl.horizon}
    return {**settings, "kl_ctrl": {"type": "adaptive", "kl_coef": config.kl.coef, **adaptive}}


def _not_carried(config: RLConfig) -> list[str]:
    """What a run of verl does otherwise, a sentence each."""
    ppo = config.ppo
    found = {
        "ppo.scale_rewards": ppo.scale_rewards,
        "ppo.gae_lambda_value": ppo.gae_lambda_value is not None,
        "ppo.length_adaptive_alpha": ppo.length_adaptive_alpha is not None,
        "update.target_kl": config.update.target_kl is not None,
        "sampling.min_new_tokens": config.sampling.min_new_tokens > 0,
        "ppo.normalize_advantages=false": config.algorithm == "ppo" and not ppo.normalize_advantages,
        "evaluation.best_of": config.evaluation.best_of > 1,
    }
    sentences = [f"{name} has no counterpart in verl and is left out." for name, given in found.items() if given]
    if ppo.dual_clip is None:
        sentences.append("verl always clips doubly; actor.clip_ratio_c stays at its own 3.0.")
    if config.algorithm == "ppo":
        sentences.append("verl whitens advantages with the sample variance: sqrt((n-1)/n) of ours for n tokens.")
    sentences.append("Optimiser settings other than learning rates stay verl's own.")
    return sentences


def _rewards(config: RLConfig) -> RewardsConfig:
    """The rewards of the run with full paths, since Ray's processes start elsewhere."""
    models = {
        name: use.model_copy(update={"checkpoint": use.checkpoint.resolve()})
        for name, use in config.reward_models.items()
    }
    return RewardsConfig(
        reward_models=models, scorers=config.scorers, mixture=config.mixture, placement=config.placement
    )


def _write_rows(path: Path, records: Sequence[PromptRecord], prompts: Sequence[Any], split: str) -> None:
    rows = [
        {
            "data_source": "spanwise",
            "prompt": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt,
            "reward_model": {"style": "model", "ground_truth": ""},
            "extra_info": {"split": split, "index": index, **row_of(record)},
        }
        for index, (record, prompt) in enumerate(zip(records, prompts, strict=True))
    ]
    with atomic_path(path) as beside:
        pq.write_table(pa.Table.from_pylist(rows), beside)


def _command(folder: Path) -> str:
    return f"""#!/usr/bin/env bash
# Check it first, on the machine where it will run: spanwise doctor verl {folder / "verl.yaml"}
set -euo pipefail
export SPANWISE_REWARDS={folder / "rewards.yaml"}
export VERL_USE_EXTERNAL_MODULES=spanwise.integrations.verl
python -m verl.trainer.main_ppo --config-path {folder} --config-name verl "$@"
"""


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _known() -> str:
    return ", ".join(VERL_ESTIMATORS)
