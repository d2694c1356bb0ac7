"""A sweep from its config to the page: what is trained, what is skipped, what is refused, what the files say."""

import json

import pytest
import torch
import yaml
from doubles import models as doubles
from transformers import LlamaModel
from typer.testing import CliRunner

from spanwise.cli.share import app
from spanwise.core.errors import ConfigError
from spanwise.evals.report.report import render_report
from spanwise.evals.statistics.results import ExperimentResults
from spanwise.feedback.files import write_records
from spanwise.feedback.prompts import PromptRecord
from spanwise.models import Policy
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.checkpoint import save_reward_model
from spanwise.reward_models.network.model import build_reward_model
from spanwise.sweeps.config import SweepConfig

HEADS = (HeadSpec("relevance", "sub-sentence", "segment"), HeadSpec("completeness", "sequence", "sequence"))


@pytest.fixture(name="work", scope="module")
def folder_with_everything_a_sweep_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    model, tokenizer = doubles.tiny_llama()
    Policy(model, tokenizer).save(folder / "policy")
    reward = build_reward_model(LlamaModel(model.config), HEADS, window=512, generator=torch.Generator().manual_seed(0))
    save_reward_model(folder / "reward", reward, tokenizer)
    write_records(folder / "prompts.jsonl", [PromptRecord(id=str(i), prompt=f"where was Ada {i}?") for i in range(3)])
    base = {
        "policy": str(folder / "policy"),
        "prompts": str(folder / "prompts.jsonl"),
        "heldout": str(folder / "prompts.jsonl"),
        "run_dir": "unused",
        "reward_models": {"span": {"checkpoint": str(folder / "reward")}},
        "mixture": {"sources": {"relevance": {"weight": 0.3, "missing": "mask"}, "completeness": {"weight": 0.5}}},
        "steps": 2,
        "value_warmup_steps": 1,
        "rollout": {"prompts_per_step": 2, "samples_per_prompt": 2},
        "sampling": {"max_new_tokens": 6},
    }
    (folder / "rl.yaml").write_text(yaml.safe_dump(base))
    sweep = {"run_dir": str(folder / "runs"), "base": str(folder / "rl.yaml"), "weights": {"relevance": [0.0, 0.4]}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep | {"seeds": [0, 1], "overrides": ["kl.coef=0.3"]}))
    return folder


@pytest.fixture(name="swept", scope="module")
def a_sweep_that_ran(work):
    result = CliRunner().invoke(app, ["sweep", str(work / "sweep.yaml"), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return work, json.loads(result.stdout)


def test_every_setting_has_a_run_per_seed_with_its_weight(swept):
    work, _ = swept
    for value in (0.0, 0.4):
        for seed in (0, 1):
            config = yaml.safe_load(
                (work / "runs" / f"relevance={value:g}" / f"seed-{seed}" / "config.yaml").read_text()
            )
            weights = {name: source["weight"] for name, source in config["mixture"]["sources"].items()}
            assert weights == {"relevance": value, "completeness": 0.5}
            assert (config["seed"], config["kl"]["coef"]) == (seed, 0.3)


def test_the_json_has_estimates_over_seeds_and_fronts_that_are_fronts(swept):
    _, summary = swept
    assert set(summary["settings"]) == {"relevance=0", "relevance=0.4"}
    for setting in summary["settings"].values():
        found = setting["metrics"]["reward/relevance"]
        assert found["seeds"] == 2
        assert found["low"] <= found["mean"] <= found["high"]
    on_front = summary["fronts"]["reward/relevance / reward/completeness"]
    means = {
        name: [own["metrics"][f"reward/{source}"]["mean"] for source in ("relevance", "completeness")]
        for name, own in summary["settings"].items()
    }
    for name, own in means.items():
        beaten = any(all(x >= y for x, y in zip(other, own, strict=True)) and other != own for other in means.values())
        assert (name in on_front) == (not beaten)


def test_a_weight_of_zero_is_measured_as_well(swept):
    _, summary = swept
    assert summary["settings"]["relevance=0"]["metrics"]["reward/relevance"]["mean"] is not None


def test_the_page_holds_plot_dial_and_answers_and_fetches_nothing(swept):
    work, _ = swept
    page = (work / "runs" / "sweep.html").read_text()
    assert page.count("<svg") >= 2
    assert 'type="range"' in page
    example = ExperimentResults.load(work / "runs").examples[0]
    assert set(example.answers) == {"relevance=0", "relevance=0.4"}
    assert example.prompt in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


def test_the_report_of_the_sweep_has_the_dial_and_compares_each_setting_with_the_first(swept):
    work, _ = swept
    page = render_report([work / "runs"])
    assert 'type="range"' in page
    assert "Answers along the dial" in page
    assert "relevance=0.4 (greedy) against relevance=0 (greedy)" in page
    found = {one.metric for one in ExperimentResults.load(work / "runs").comparisons}
    assert {"reward/relevance", "reward/completeness", "words"} <= found


def test_every_setting_is_measured_under_both_decodings_and_held_against_the_start(swept):
    work, _ = swept
    results = ExperimentResults.load(work / "runs")
    assert {name: (arm.title, arm.rivals) for name, arm in results.arms.items()} == {
        "start": ("Start policy (greedy)", ()),
        "start@temperature-1": ("Start policy (temperature 1)", ()),
        "relevance=0": ("relevance=0 (greedy)", ("start", "start@temperature-1")),
        "relevance=0@temperature-1": ("relevance=0 (temperature 1)", ("start", "start@temperature-1")),
        "relevance=0.4": ("relevance=0.4 (greedy)", ("start", "start@temperature-1")),
        "relevance=0.4@temperature-1": ("relevance=0.4 (temperature 1)", ("start", "start@temperature-1")),
    }
    pairs = {(one.arm, one.baseline) for one in results.comparisons}
    assert ("relevance=0.4@temperature-1", "start@temperature-1") in pairs
    assert ("relevance=0.4", "start") in pairs
    assert not any(one.verdict == "not held" for one in results.comparisons)
    page = (work / "runs" / "sweep.html").read_text()
    assert "Sweep (greedy)" in page
    assert "Sweep (temperature 1)" in page


def test_a_second_call_trains_nothing_and_says_the_same(swept):
    work, first = swept
    before = {path: path.stat().st_mtime_ns for path in (work / "runs").rglob("metrics.jsonl")}
    again = CliRunner().invoke(app, ["sweep", str(work / "sweep.yaml"), "--json"], catch_exceptions=False)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads(again.stdout) == first
    assert again.stderr.count("is there already") == 4


def test_lost_scores_are_measured_again_to_the_same_numbers(swept):
    work, first = swept
    lost = work / "runs" / "relevance=0.4" / "seed-1"
    (lost / "scores.json").unlink()
    only = CliRunner().invoke(app, ["sweep", str(work / "sweep.yaml"), "--only-report"])
    assert "scores.json" in str(only.exception)
    again = CliRunner().invoke(app, ["sweep", str(work / "sweep.yaml"), "--json"], catch_exceptions=False)
    assert json.loads(again.stdout)["settings"] == first["settings"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("overrides=[kl.coef=0.9]", "another overrides"),
        ("weights={wit: [1.0]}", "'wit'"),
        ("weights={}", "either weights"),
        ("settings={../up: {relevance: 1}}", "either weights"),
        ("base=null", "either base"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_run(swept, override, message):
    work, _ = swept
    result = CliRunner().invoke(app, ["sweep", str(work / "sweep.yaml"), override])
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_named_settings_are_folders_and_dial_positions(tmp_path):
    config = SweepConfig(run_dir=tmp_path, base=tmp_path, settings={"short": {"a": 2.0, "b": 1.0}, "long": {"a": 0.5}})
    assert config.positions() == ("short", "long")
    assert config.dial() == "weights of a and b"
    with pytest.raises(ValueError, match="plain folder name"):
        SweepConfig(run_dir=tmp_path, base=tmp_path, settings={"../up": {"a": 1.0}})


def test_several_sources_make_a_grid(tmp_path):
    config = SweepConfig(run_dir=tmp_path, base=tmp_path, weights={"a": (1.0, 2.0), "b": (0.5, 3.0)})
    assert list(config.points()) == ["a=1,b=0.5", "a=1,b=3", "a=2,b=0.5", "a=2,b=3"]
