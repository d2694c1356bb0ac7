"""`spanwise reward` trains, measures and explains itself; bad input ends in one sentence and leaves nothing behind."""

import json

import pytest
import yaml
from doubles.reward_world import records, tiny_bert
from typer.testing import CliRunner

from spanwise.cli.reward import app
from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.feedback.files import write_records


@pytest.fixture
def project(tmp_path):
    """A folder with feedback, a backbone and a config."""
    write_records(tmp_path / "train.jsonl", records(16))
    write_records(tmp_path / "test.jsonl", records(8, "judge"))
    for part in tiny_bert():
        part.save_pretrained(tmp_path / "backbone")
    values = {
        "data": [str(tmp_path / "train.jsonl")],
        "test": [str(tmp_path / "test.jsonl")],
        "backbone": str(tmp_path / "backbone"),
        "run_dir": str(tmp_path / "run"),
        "heads": ["relevance", "preference"],
        "fitting": {"epochs": 1},
        "device": "cpu",
    }
    (tmp_path / "reward.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def invoke(command, project, *arguments):
    result = CliRunner().invoke(app, [command, str(project / "reward.yaml"), *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_train_then_evaluate_print_json_and_leave_a_run_folder(project):
    trained = json.loads(invoke("train", project, "--json"))
    assert set(trained["heads"]) == {"relevance", "preference"}
    assert (project / "run" / "checkpoints" / "best" / "model.safetensors").exists()
    assert yaml.safe_load((project / "run" / "config.yaml").read_text())["fitting"]["batch_size"] == 8
    judged = json.loads(invoke("evaluate", project, "--json"))
    assert judged["heads"]["relevance"]["segments"] == 8 * 3 * 2
    assert judged["left_out"]["preference/ties"] + judged["heads"]["preference"]["pairs"] == 8 * 3
    words = invoke("evaluate", project)
    assert "relevance (sub-sentence): accuracy" in words
    assert "left out  preference/ties" in words
    with pytest.raises(ConfigError, match="holds a run already"):
        invoke("train", project)


def test_evaluate_says_what_scores_go_with_and_how_they_transfer(project):
    invoke("train", project)
    write_records(project / "other.jsonl", records(6, "other"))
    page = project / "reward.html"
    found = json.loads(
        invoke("evaluate", project, "--transfer", f"other={project / 'other.jsonl'}", "--output", str(page), "--json")
    )
    bias = found["bias"]
    assert -1 <= bias["relevance"]["position_correlation"] <= 1
    assert 0 <= bias["preference"]["label_prefers_first_listed"] <= 1
    assert set(found["agreement"]) <= {"relevance / preference"}
    assert found["transfer"]["other"]["relevance"]["segments"] == 6 * 3 * 2
    assert found["heads"]["relevance"]["segments"] == 8 * 3 * 2
    text = page.read_text()
    assert "Transfer" in text
    assert "<svg" in text, "the reliability plot is a picture"
    words = invoke("evaluate", project, "--transfer", f"other={project / 'other.jsonl'}")
    assert "on other, relevance: accuracy" in words
    with pytest.raises(ConfigError, match="NAME=FILE"):
        invoke("evaluate", project, "--transfer", "other")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["data=[]"], ConfigError, "data names no file"),
        (["heads=[relevanse]"], ConfigError, "no head is called 'relevanse'"),
        (["epochs=3"], ConfigError, "unknown key epochs"),
        (["edits=[pairs.jsonl]"], ConfigError, "unknown key edits; it is of kind: token"),
        (["data=[absent.jsonl]"], DataError, "absent.jsonl: cannot be read"),
        (["backbone=."], CheckpointError, r"backbone: '\.' cannot be loaded"),
    ],
)
def test_bad_input_to_train_is_one_sentence_and_no_checkpoint(project, arguments, error, message):
    with pytest.raises(error, match=message):
        invoke("train", project, *arguments)
    assert not (project / "run").exists()


def test_evaluating_a_model_that_is_no_reward_model_names_the_remedy(project):
    with pytest.raises(CheckpointError, match=r"holds a bert model, not a reward model.*spanwise reward train"):
        invoke("evaluate", project, f"checkpoint={project / 'backbone'}")
    with pytest.raises(CheckpointError, match="no reward model can be read here"):
        invoke("evaluate", project)


def test_help_shows_every_field_with_its_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    output = CliRunner().invoke(app, ["train", "--help"]).output
    for piece in (
        "relevance.min_span_words",
        "fitting.head_learning_rate",
        "position_offset",
        "custom.NAME.categories",
    ):
        assert piece in output
    assert "default 0.001" in output
    assert "Peak learning rate of the backbone, or of its adapter." in output
