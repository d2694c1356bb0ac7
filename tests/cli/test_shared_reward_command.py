"""A reward model trained as an adapter from the command line, and `spanwise rl` on its base: what it says and does."""

import json

import pytest
import yaml
from doubles import models as doubles
from doubles.reward_world import records
from typer.testing import CliRunner

from spanwise.cli import policies, reward
from spanwise.feedback.files import write_records
from spanwise.feedback.prompts import PromptRecord
from spanwise.models import Policy

LORA = {"rank": 4, "alpha": 8.0}


@pytest.fixture(name="work")
def base_reward_model_and_prompts(tmp_path):
    Policy(*doubles.tiny_llama()).save(tmp_path / "base")
    write_records(tmp_path / "feedback.jsonl", records(12))
    write_records(tmp_path / "prompts.jsonl", [PromptRecord(id=str(i), prompt=f"where was Ada {i}?") for i in range(2)])
    train = {
        "data": [str(tmp_path / "feedback.jsonl")], "backbone": str(tmp_path / "base"), "lora": LORA, "device": "cpu",
        "heads": ["relevance", "completeness"], "fitting": {"epochs": 1, "learning_rate": 1e-2},
        "run_dir": str(tmp_path / "rm"),
    }  # fmt: skip
    settings = {
        "policy": str(tmp_path / "base"),
        "prompts": str(tmp_path / "prompts.jsonl"),
        "heldout": str(tmp_path / "prompts.jsonl"),
        "reward_models": {"span": {"checkpoint": str(tmp_path / "rm" / "checkpoints" / "best")}},
        "mixture": {"sources": {"relevance": {"weight": 0.3, "missing": "mask"}, "completeness": {"weight": 0.5}}},
        "steps": 2,
        "lora": LORA,
        "value_warmup_steps": 1,
        "rollout": {"prompts_per_step": 2, "samples_per_prompt": 2},
        "sampling": {"max_new_tokens": 6},
        "training_states": {"every": 1},
    }
    (tmp_path / "reward.yaml").write_text(yaml.safe_dump(train))
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(settings))
    done = CliRunner().invoke(reward.app, ["train", str(tmp_path / "reward.yaml")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return tmp_path


def run(work, name, *overrides):
    arguments = [str(work / "rl.yaml"), f"run_dir={work / name}", *overrides]
    done = CliRunner().invoke(policies.app, ["rl", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.stderr.split())


def metrics(work, name):
    rows = [json.loads(line) for line in (work / name / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def test_an_rl_run_shares_the_reward_models_base_says_so_and_goes_on_after_its_state_of_step_1(work):
    assert "reward model span shares the policy's weights." in run(work, "whole")
    run(work, "cut")
    for folder in (work / "cut" / "checkpoints").glob("step-000002"):
        (folder / "numbers.json").write_text("{}")
    assert "goes on after step 1 of 2" in run(work, "cut")
    assert metrics(work, "cut") == metrics(work, "whole")
    assert Policy.load(work / "cut" / "checkpoints" / "last").window == 512


def test_a_policy_that_trains_all_weights_or_is_another_model_leaves_the_reward_model_its_own(work):
    own = f"reward model span holds its base model {work / 'base'} by itself: "
    assert own + "the policy trains all weights" in run(work, "full", "lora=null", "steps=1", "value_warmup_steps=0")
    Policy(*doubles.tiny_llama(seed=1)).save(work / "other")
    said = run(work, "other-run", f"policy={work / 'other'}", "steps=1", "value_warmup_steps=0")
    assert own + "the policy is another model" in said


def test_evaluate_and_score_read_it_alone(work):
    test = ["evaluate", str(work / "reward.yaml"), f"test=[{work / 'feedback.jsonl'}]", "--json"]
    done = CliRunner().invoke(reward.app, test, catch_exceptions=False)
    assert json.loads(done.stdout)["heads"]["relevance"]["segments"] > 0
    line = {"prompt": "what was house 1 called ?", "response": "the house was red ."}
    (work / "answers.jsonl").write_text(json.dumps(line) + "\n")
    score = ["score", str(work / "rm" / "checkpoints" / "best"), str(work / "answers.jsonl"), "--json"]
    done = CliRunner().invoke(reward.app, score, catch_exceptions=False)
    assert set(json.loads(done.stdout)["scores"]) == {"relevance", "completeness"}
