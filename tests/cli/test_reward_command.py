"""`spanwise reward` trains, measures and explains itself; bad input ends in one sentence and leaves nothing behind."""

import json
import re

import pytest
import yaml
from doubles.reward_world import records, tiny_bert
from typer.testing import CliRunner

from spanwise.cli.reward import app
from spanwise.core.errors import CheckpointError, ConfigError, DataError, TrainingError
from spanwise.feedback.files import write_records
from spanwise.feedback.schema import FeedbackRecord, Response, mark


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


def test_evaluating_on_training_questions_is_said_with_the_files(project):
    invoke("train", project)
    assert json.loads(invoke("evaluate", project, "--json"))["seen"] == []
    write_records(project / "mixed.jsonl", [*records(3), *records(5, "judge")])
    page = project / "reward.html"
    words = invoke("evaluate", project, f"test=[{project / 'mixed.jsonl'}]", "--output", str(page))
    sentence = f"{project / 'mixed.jsonl'}: 3 of its 8 questions are in the training data ({project / 'train.jsonl'})"
    assert sentence in words
    assert sentence in page.read_text()
    assert "training did not see" not in page.read_text()


TEXT = "I like apples. He lives in the city and walks every day! You?"
CHINESE = "我喜欢苹果。他住在上海的一个小区里、每天都去公园散步。你呢。"


def marked(text, start, end, category, *, shares=(0, 1)):
    """Questions whose answers are marked with `category`, or clean, in turns."""
    spans = [(), (mark(text, start, end, category),)]
    return [
        FeedbackRecord(
            id=f"e{n}", prompt=f"Q{n}?", responses=(Response(text=text, marked=True, spans=spans[shares[n % 2]]),)
        )
        for n in range(40)
    ]


@pytest.mark.parametrize(
    ("feedback", "message"),
    [
        (
            marked(TEXT, 15, 56, "Style/Awkward"),
            r"head 'relevance' nothing: no segment is wrong by its categories Irrelevant, Redundant, Incoherent, but "
            r"they mark Style/Awkward \(\d+\), which no head uses; to use them, write "
            r"`relevance: {categories: \[Irrelevant, Redundant, Incoherent, Style/Awkward\]}` into the config",
        ),
        (marked(TEXT, 15, 23, "Irrelevant"), r"\d+ marks are shorter than min_span_words=5; give it other data"),
        (marked(TEXT, 0, 61, "Irrelevant", shares=(1, 1)), "no segment is right; give it marked answers without an"),
    ],
)
@pytest.mark.parametrize("method", ["gradient", "linear"])
def test_labels_of_one_class_are_refused_before_training(project, feedback, message, method):
    write_records(project / "train.jsonl", feedback)
    with pytest.raises(DataError, match=message):
        invoke("train", project, "heads=[relevance]", f"fitting.method={method}")
    assert not (project / "run").exists()


def test_spans_without_spaces_are_long_enough_to_learn_from(project):
    write_records(project / "train.jsonl", marked(CHINESE, 6, 27, "Irrelevant"))
    trained = json.loads(invoke("train", project, "heads=[relevance]", "--json"))
    assert "relevance/short spans" not in trained["left_out"]


def test_held_out_labels_of_one_class_tell_no_accuracy(project):
    write_records(project / "train.jsonl", marked(TEXT, 15, 56, "Irrelevant"))
    write_records(project / "test.jsonl", marked(TEXT, 15, 56, "Irrelevant", shares=(0, 0)))
    words = invoke("train", project, "heads=[relevance]", f"heldout=[{project / 'test.jsonl'}]")
    assert re.search(r"accuracy and AUROC not known: all \d+ segments are right", words)
    assert "accuracy 1.000" not in words


def test_a_diverging_training_stops_at_the_step_with_a_sentence(project):
    write_records(project / "train.jsonl", marked(TEXT, 15, 56, "Irrelevant"))
    with pytest.raises(TrainingError, match=r"Step 1: .* not finite; lower fitting\.learning_rate"):
        invoke("train", project, "heads=[relevance]", "fitting.learning_rate=1e35", "fitting.batch_size=64")


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
