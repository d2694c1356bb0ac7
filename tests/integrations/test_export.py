"""Our run as verl's: settings by verl's names, data that bring the prompt, and a word for what is not carried."""

import json

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from spanwise.cli.engines import app
from spanwise.core import ConfigError, DataError
from spanwise.feedback import Passage, PromptRecord, write_records
from spanwise.integrations import registry

RUN = {
    "policy": "my/policy",
    "steps": 50,
    "algorithm": "grpo",
    "rollout": {"prompts_per_step": 8, "samples_per_prompt": 4, "max_prompt_tokens": 320},
    "sampling": {"max_new_tokens": 48, "temperature": 0.7},
    "kl": {"where": "loss", "coef": 0.02, "estimator": "k3"},
    "ppo": {"gamma": 0.99, "clip_range": 0.1, "clip_range_high": 0.3, "loss_aggregation": "seq-mean-token-sum"},
    "update": {"epochs": 2, "minibatch_size": 16},
    "policy_optimizer": {"learning_rate": 3e-6},
    "reward_models": {"fine": {"checkpoint": "models/fine"}},
    "mixture": {"sources": {"relevance": {"weight": 0.3}}},
}
RECORDS = [
    PromptRecord(id=f"p{n}", prompt=f"Who is {n}?", passages=(Passage(title="t", sentences=("s",)),)) for n in range(3)
]


@pytest.fixture
def run(tmp_path):
    """Exports RUN with changes; the folder and what the command said."""

    def export(**changes):
        for name in ("prompts", "heldout"):
            write_records(tmp_path / f"{name}.jsonl", RECORDS)
        paths = {name: str(tmp_path / f"{name}.jsonl") for name in ("prompts", "heldout")}
        values = {**RUN, **paths, "run_dir": str(tmp_path / "run"), **changes}
        (tmp_path / "rl.yaml").write_text(yaml.safe_dump(values))
        arguments = ["export", "verl", str(tmp_path / "rl.yaml"), "--output", str(tmp_path / "out"), "--json"]
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None:
            raise result.exception
        return tmp_path / "out", json.loads(result.stdout)

    return export


def test_settings_have_verls_names(run):
    folder, _ = run()
    found = yaml.safe_load((folder / "verl.yaml").read_text())
    assert found["defaults"] == ["ppo_trainer", "_self_"]
    assert found["algorithm"] == {
        "adv_estimator": "spanwise_grpo",
        "gamma": 0.99,
        "lam": 0.95,
        "norm_adv_by_std_in_grpo": True,
        "use_kl_in_reward": False,
        "kl_penalty": "low_var_kl",
        "kl_ctrl": {"type": "fixed", "kl_coef": 0.02},
    }
    actor, rollout = found["actor_rollout_ref"]["actor"], found["actor_rollout_ref"]["rollout"]
    assert (actor["clip_ratio_low"], actor["clip_ratio_high"], actor["ppo_epochs"]) == (0.1, 0.3, 2)
    assert (actor["ppo_mini_batch_size"], actor["loss_agg_mode"]) == (4, "seq-mean-token-sum")
    assert (actor["use_kl_loss"], actor["kl_loss_coef"], actor["kl_loss_type"]) == (True, 0.02, "low_var_kl")
    assert (rollout["n"], rollout["temperature"], rollout["top_k"]) == (4, 0.7, -1)
    assert found["data"]["max_response_length"] == 48
    assert found["trainer"]["total_training_steps"] == 50


@pytest.mark.parametrize(
    ("changes", "estimator"),
    [
        ({"algorithm": "ppo"}, "gae"),
        ({"algorithm": "rloo"}, "spanwise_rloo"),
        ({"group": {"match": "relative"}}, "spanwise_grpo_relative"),
        ({"algorithm": "reinforce++"}, "reinforce_plus_plus"),
    ],
)
def test_every_estimator_keeps_token_rewards(run, changes, estimator):
    folder, _ = run(**changes)
    assert yaml.safe_load((folder / "verl.yaml").read_text())["algorithm"]["adv_estimator"] == estimator


def test_an_algorithm_that_verl_has_not(run):
    with pytest.raises(ConfigError, match="expert-iteration: verl has no such algorithm"):
        run(algorithm="expert-iteration")


def test_data_bring_the_prompt_and_rewards_full_paths(run, tmp_path):
    folder, _ = run()
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    assert [registry.record_of(row["extra_info"], "row") for row in rows] == RECORDS
    assert rows[0]["prompt"] == [{"role": "user", "content": RECORDS[0].model_input}]
    rewards = registry.load_rewards(folder / "rewards.yaml")
    assert rewards.reward_models["fine"].checkpoint.is_absolute()
    assert rewards.mixture.sources["relevance"].weight == 0.3
    command = (folder / "run.sh").read_text()
    assert "VERL_USE_EXTERNAL_MODULES=spanwise.integrations.verl" in command
    assert str(folder) in command


def test_what_is_not_carried_is_said(run):
    _, plain = run()
    assert not [line for line in plain["otherwise"] if "target_kl" in line]
    _, said = run(update={"target_kl": 0.1}, sampling={"max_new_tokens": 48, "min_new_tokens": 2})
    assert "update.target_kl has no counterpart in verl and is left out." in said["otherwise"]
    assert "sampling.min_new_tokens has no counterpart in verl and is left out." in said["otherwise"]


def test_conversations_stay_turns_for_the_models_own_template(run, tmp_path, monkeypatch):
    turns = [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "Me."},
        {"role": "user", "content": "Why?"},
    ]
    records = [PromptRecord.model_validate({"id": "c", "messages": turns})]
    monkeypatch.setitem(globals(), "RECORDS", records)
    folder, _ = run()
    (row,) = pq.read_table(folder / "train.parquet").to_pylist()
    assert row["prompt"] == turns
    assert registry.record_of(row["extra_info"], "row") == records[0]
    assert (
        "custom_chat_template" not in yaml.safe_load((folder / "verl.yaml").read_text())["actor_rollout_ref"]["model"]
    )
    monkeypatch.setitem(globals(), "RECORDS", [*records, PromptRecord(id="p", prompt="And you?")])
    with pytest.raises(DataError, match="Some prompts are conversations"):
        run()
