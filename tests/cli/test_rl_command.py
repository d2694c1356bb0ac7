"""`spanwise rl` from files to checkpoints, and its refusals."""

import json

import pytest
import torch
import yaml
from doubles import models as doubles
from doubles.vllm_server import VllmDouble, serving
from transformers import LlamaModel
from typer.testing import CliRunner

from spanwise.cli.policies import app
from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.evals.report import write_cards, write_report
from spanwise.feedback.files import write_records
from spanwise.feedback.prompts import PromptRecord
from spanwise.models import Policy
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.checkpoint import save_reward_model
from spanwise.reward_models.network.model import build_reward_model

HEADS = (HeadSpec("relevance", "sub-sentence", "segment"), HeadSpec("completeness", "sequence", "sequence"))


@pytest.fixture(name="work")
def folder_with_policy_reward_model_and_prompts(tmp_path):
    model, tokenizer = doubles.tiny_llama()
    Policy(model, tokenizer).save(tmp_path / "policy")
    reward = build_reward_model(LlamaModel(model.config), HEADS, window=512, generator=torch.Generator().manual_seed(0))
    save_reward_model(tmp_path / "reward", reward, tokenizer)
    write_records(tmp_path / "prompts.jsonl", [PromptRecord(id=str(i), prompt=f"where was Ada {i}?") for i in range(3)])
    settings = {
        "policy": str(tmp_path / "policy"),
        "prompts": str(tmp_path / "prompts.jsonl"),
        "heldout": str(tmp_path / "prompts.jsonl"),
        "run_dir": str(tmp_path / "run"),
        "reward_models": {"span": {"checkpoint": str(tmp_path / "reward")}},
        "mixture": {"sources": {"relevance": {"weight": 0.3, "missing": "mask"}, "completeness": {"weight": 0.5}}},
        "steps": 2,
        "value_warmup_steps": 1,
        "rollout": {"prompts_per_step": 2, "samples_per_prompt": 2},
        "sampling": {"max_new_tokens": 6},
        "evaluation": {"logged_samples": 1},
    }
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def run(work, *overrides):
    return CliRunner().invoke(app, ["rl", str(work / "rl.yaml"), *overrides], catch_exceptions=False)


def test_a_run_from_files_to_checkpoints(work):
    result = run(work, "mixture.sources.completeness.weight=0.25", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["best_reward"] == max(summary["first_reward"], summary["last_reward"])
    assert Policy.load(summary["best_checkpoint"]).window == 512
    metrics = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics] == [0, 1, 2]
    assert {"reward/relevance", "reward/completeness", "eval/reward/total"} <= set(metrics[-1])
    sample = json.loads((work / "run" / "samples.jsonl").read_text().splitlines()[0])
    assert set(sample["shares"]) == {"relevance", "completeness"}
    assert (
        yaml.safe_load((work / "run" / "config.yaml").read_text())["mixture"]["sources"]["completeness"]["weight"]
        == 0.25
    )


def test_a_run_whose_best_policy_is_its_start_says_that_nothing_was_learned(work):
    result = run(work, "policy_optimizer.learning_rate=1e-12")
    assert "Nothing was learned: the best checkpoint is the start policy." in result.output
    again = json.loads(run(work, "policy_optimizer.learning_rate=1e-12", "--json").stdout)
    assert (again["learned_nothing"], again["best_step"]) == (True, 0)


def test_a_server_samples_a_run(work):
    double = VllmDouble(Policy(*doubles.tiny_llama()))
    with serving(double) as url:
        result = run(work, "rollout.backend=vllm-server", f"rollout.server.base_url={url}")
    assert result.exit_code == 0, result.output
    assert [folder.parent for folder in double.loaded] == [work / "run" / "rollout-weights"] * 2
    metrics = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["sampler/kl"] == pytest.approx(0.0, abs=1e-5)


def test_a_run_is_never_written_over(work):
    (work / "run").mkdir()
    (work / "run" / "metrics.jsonl").write_text("kept")
    with pytest.raises(ConfigError, match="holds a run already"):
        run(work)
    assert (work / "run" / "metrics.jsonl").read_text() == "kept"


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("value_warmup_steps=2", ConfigError, "value_warmup_steps=2 leaves no step"),
        ("stepps=3", ConfigError, "did you mean steps"),
        ("reward_models={}", ConfigError, "reward_models"),
        ("mixture.sources.fluency.weight=1", ConfigError, "fluency"),
        ("reward_models.span.heads=[style]", ConfigError, "style"),
        ("policy={reward}", CheckpointError, "not a language model"),
        ("reward_models.span.checkpoint={policy}", CheckpointError, "not a reward model"),
        ("prompts={missing}", DataError, "missing.jsonl"),
        ("prompts={broken}", DataError, r"broken\.jsonl:1"),
        ("policy={missing}", CheckpointError, "missing.jsonl"),
        ("sampling.max_new_tokens=600", ConfigError, "leaves no room for a prompt"),
        ("rollout.max_prompt_tokens=5", DataError, "there is room for 5"),
    ],
)
def test_refusals_name_the_place_and_leave_nothing_behind(work, override, error, words):
    (work / "broken.jsonl").write_text('{"prompt": \n')
    places = {"policy": work / "policy", "reward": work / "reward", "missing": work / "missing.jsonl"}
    override = override.replace("{}", "{{}}").format(**places, broken=work / "broken.jsonl")
    with pytest.raises(error, match=words):
        run(work, override)
    assert not (work / "run").exists()


def test_a_bad_setting_is_refused_before_any_model_is_loaded(work, monkeypatch):
    monkeypatch.setattr(Policy, "load", lambda *_args, **_options: pytest.fail("a model was loaded"))
    with pytest.raises(ConfigError):
        run(work, "ppo.gae_lambda=2")
    with pytest.raises(DataError):
        run(work, "prompts=nowhere.jsonl")


def test_help_shows_every_section(work):
    text = CliRunner().invoke(app, ["rl", "--help"], env={"COLUMNS": "200"}).stdout
    for key in ("ppo.gae_lambda", "kl.coef", "sampling.top_k", "reward_models.NAME.checkpoint", "alarms.window"):
        assert key in text


def test_the_same_command_again_tells_what_it_told_and_never_means_never(work):
    first = run(work, "--json").stdout
    before = (work / "run" / "metrics.jsonl").read_bytes()
    assert run(work, "--json").stdout == first
    assert (work / "run" / "metrics.jsonl").read_bytes() == before
    with pytest.raises(ConfigError, match="set resume=auto"):
        run(work, "resume=never")
    with pytest.raises(ConfigError, match=r"seed \(\d+ there, 99 here\)"):
        run(work, "seed=99")


def test_a_finished_run_takes_more_steps(work):
    run(work)
    before = (work / "run" / "metrics.jsonl").read_text().splitlines()
    run(work, "steps=3")
    after = (work / "run" / "metrics.jsonl").read_text().splitlines()
    assert after[: len(before)] == before
    assert json.loads(after[-1])["step"] == 3


def test_a_stored_run_with_an_old_key_is_reported_and_its_resume_says_the_new_name(work):
    run(work)
    stored = work / "run" / "config.yaml"
    stored.write_text(stored.read_text().replace("heldout: ", "heldout_prompts: "))
    write_report([work / "run"], work / "report.html")
    write_cards(work / "run", work / "cards")
    assert "heldout_prompts" in (work / "report.html").read_text()
    with pytest.raises(ConfigError, match=r"run/config\.yaml: heldout_prompts was renamed to heldout\."):
        run(work, "steps=3")


def test_auto_is_recorded_as_the_device_it_was_and_goes_on_there(work, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run(work, "steps=1", "value_warmup_steps=0")
    assert done.stderr.splitlines()[0] == "rl: device: cpu (no CUDA device found)"
    assert yaml.safe_load((work / "run" / "config.yaml").read_text())["device"] == "cpu"
    assert run(work, "steps=1", "value_warmup_steps=0", "device=cpu").exit_code == 0
    with pytest.raises(ConfigError, match="device=gpu: no such device"):
        run(work, "device=gpu")
