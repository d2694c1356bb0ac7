import json

import pytest
import torch
import yaml
from doubles import models as doubles
from typer.testing import CliRunner

from spanwise.cli.policies import app
from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.feedback.files import write_records
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.models import Policy

RECORDS = [
    DemonstrationRecord(id=name, prompt=f"where was {name} born?", completion=f"{name} was born in Oslo.")
    for name in ("Ada", "Ines", "Korr", "Veld")
]


@pytest.fixture(name="work")
def folder_with_a_policy_and_data(tmp_path):
    Policy(*doubles.tiny_llama()).save(tmp_path / "base")
    write_records(tmp_path / "demonstrations.jsonl", RECORDS)
    prompts = [PromptRecord(id=record.id, prompt=record.prompt) for record in RECORDS]
    write_records(tmp_path / "prompts.jsonl", prompts)
    settings = {
        "policy": tmp_path / "base",
        "demonstrations": tmp_path / "demonstrations.jsonl",
        "heldout": tmp_path / "demonstrations.jsonl",
        "run_dir": tmp_path / "run",
    }
    write_yaml(tmp_path / "sft.yaml", settings | {"max_response_tokens": 30, "max_prompt_tokens": 60})
    asked = {key: tmp_path / name for key, name in (("policy", "base"), ("prompts", "prompts.jsonl"))}
    write_yaml(tmp_path / "generate.yaml", asked | {"output": tmp_path / "answers.jsonl"})
    return tmp_path


def write_yaml(path, values):
    path.write_text(
        yaml.safe_dump({key: value if isinstance(value, int) else str(value) for key, value in values.items()})
    )


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_fine_tuning_then_answering(work):
    trained = run("sft", work / "sft.yaml", "epochs=2", "learning_rate=0.01", "select_by=rouge", "--json")
    assert trained.exit_code == 0, trained.output
    summary = json.loads(trained.stdout)
    assert summary["checkpoint"] == str(work / "run" / "checkpoints" / "best")
    assert 0 <= summary["score"] <= 1
    assert "heldout/score" in (work / "run" / "metrics.jsonl").read_text()
    answered = run(
        "generate", work / "generate.yaml", f"policy={summary['checkpoint']}", "sampling.max_new_tokens=5", "--json"
    )
    assert answered.exit_code == 0, answered.output
    lines = [json.loads(line) for line in (work / "answers.jsonl").read_text().splitlines()]
    assert json.loads(answered.stdout) == {
        "output": str(work / "answers.jsonl"),
        "prompts": 4,
        "answers": 4,
        "truncated": sum(line["truncated"] for line in lines),
    }
    assert [line["id"] for line in lines] == [record.id for record in RECORDS]
    assert set(lines[0]) == {"id", "sample", "prompt", "passages", "response", "truncated", "tokens"}


def test_sampling_several_answers_per_prompt(work):
    options = ("decoding=sample", "samples_per_prompt=3", "sampling.max_new_tokens=4", "sampling.top_k=5")
    result = run("generate", work / "generate.yaml", *options)
    assert result.exit_code == 0
    assert "Wrote 12 answers to 4 prompts" in result.stdout
    assert len((work / "answers.jsonl").read_text().splitlines()) == 12


def test_a_run_is_never_written_over(work):
    (work / "run").mkdir()
    (work / "run" / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="holds a run already; choose another run_dir"):
        run("sft", work / "sft.yaml")


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("policy=/nowhere/policy", CheckpointError, "/nowhere/policy"),
        ("heldout=broken.jsonl", DataError, r"broken\.jsonl:1"),
        ("max_prompt_tokens=2", DataError, "the limit is 2"),
    ],
)
def test_refused_fine_tuning_leaves_no_folder(work, monkeypatch, override, error, words):
    monkeypatch.chdir(work)
    (work / "broken.jsonl").write_text('{"prompt": \n')
    with pytest.raises(error, match=words):
        run("sft", work / "sft.yaml", override)
    assert not (work / "run").exists()


def test_answers_are_never_written_over(work):
    (work / "answers.jsonl").write_text("earlier\n")
    with pytest.raises(ConfigError, match="is there already; remove it, or set output="):
        run("generate", work / "generate.yaml")
    assert (work / "answers.jsonl").read_text() == "earlier\n"


def test_a_broken_line_stops_before_the_output_is_touched(work):
    with (work / "prompts.jsonl").open("a") as stream:
        stream.write('{"prompt": \n')
    with pytest.raises(DataError, match=r"prompts\.jsonl:5"):
        run("generate", work / "generate.yaml")
    assert not (work / "answers.jsonl").exists()


def test_a_prompt_that_does_not_fit_leaves_no_output(work):
    with pytest.raises(DataError, match="Prompt Ada has"):
        run("generate", work / "generate.yaml", "max_prompt_tokens=3")
    assert not (work / "answers.jsonl").exists()
    assert not [path for path in work.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("sft", ("learning_rate", "heldout", "max_grad_norm", "run_dir")),
        ("generate", ("sampling.temperature", "samples_per_prompt", "output")),
    ],
)
def test_help_shows_the_fields(command, fields):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert all(field in result.stdout for field in fields)


@pytest.mark.parametrize(("command", "config"), [("sft", "sft.yaml"), ("generate", "generate.yaml")])
def test_the_device_is_said_first_and_one_that_is_not_there_is_refused(work, monkeypatch, command, config):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run(command, work / config)
    assert done.stderr.splitlines()[0] == "device: cpu (no CUDA device found)"
    with pytest.raises(ConfigError, match="device=cuda:7: this machine has no CUDA device"):
        run(command, work / config, f"run_dir={work / 'other'}" if command == "sft" else "seed=1", "device=cuda:7")


def test_the_run_folder_records_the_device_that_was_taken(work, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run("sft", work / "sft.yaml")
    assert yaml.safe_load((work / "run" / "config.yaml").read_text())["device"] == "cpu"
