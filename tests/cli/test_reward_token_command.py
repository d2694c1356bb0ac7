"""`kind: token` trains and measures rewards of tokens, and `spanwise reward score` shows them."""

import json

import pytest
import yaml
from doubles.edit_world import edit_pairs
from doubles.reward_world import tiny_decoder
from typer.testing import CliRunner

from spanwise.cli.reward import app
from spanwise.core.errors import ConfigError
from spanwise.core.files import write_jsonl
from spanwise.feedback.files import write_records


@pytest.fixture
def project(tmp_path):
    """A folder with edit pairs, a backbone, responses to score and a config."""
    write_records(tmp_path / "train.jsonl", edit_pairs(16))
    write_records(tmp_path / "judge.jsonl", edit_pairs(4, "judge"))
    rows = [{"id": "0", "sample": 0, "prompt": pair.prompt, "response": pair.original} for pair in edit_pairs(2, "new")]
    write_jsonl(tmp_path / "responses.jsonl", rows)
    for part in tiny_decoder():
        part.save_pretrained(tmp_path / "backbone")
    values = {
        "kind": "token",
        "edits": [str(tmp_path / "train.jsonl")],
        "heldout": [str(tmp_path / "judge.jsonl")],
        "backbone": str(tmp_path / "backbone"),
        "run_dir": str(tmp_path / "run"),
        "fitting": {"epochs": 1},
        "device": "cpu",
    }
    (tmp_path / "reward.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_train_evaluate_and_score_tokens(project, monkeypatch):
    trained = json.loads(invoke("train", project / "reward.yaml", "--json"))
    assert trained["metrics"]["pairs"] == 4
    judged = json.loads(invoke("evaluate", project / "reward.yaml", "--json"))
    assert judged["metrics"] == pytest.approx(trained["metrics"], abs=1e-5)
    best = project / "run" / "checkpoints" / "best"
    rows = [json.loads(line) for line in invoke("score", best, project / "responses.jsonl", "--json").splitlines()]
    for row, pair in zip(rows, edit_pairs(2, "new"), strict=True):
        assert [one["text"] for one in row["scores"]["token"]] == [*pair.original.split(), ""]
        assert all(isinstance(one["value"], float) for one in row["scores"]["token"])
    shown = invoke("score", best, project / "responses.jsonl")
    numbers = [f"[{one['value']:+.2f}]" for one in rows[0]["scores"]["token"] if one["text"]]
    first = edit_pairs(1, "new")[0].original
    assert " ".join(f"{word}{number}" for word, number in zip(first.split(), numbers, strict=True)) in shown
    assert "[end " in shown
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLORTERM", "truecolor")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = invoke("score", best, project / "responses.jsonl")
    assert coloured.count("48;2;") >= len(numbers)
    assert numbers[0] not in coloured
    with pytest.raises(ConfigError, match="holds a run already"):
        invoke("train", project / "reward.yaml")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("edits=[]", "edits, spans and tags name no file"),
        ("loss.name=best", "loss.name"),
        ("label_weight=-1", "label_weight"),
        ("heads=[preference]", "unknown key heads; it is of kind: segment"),
        ("kind=tokens", "kind"),
    ],
)
def test_a_bad_setting_is_refused_before_any_work(project, argument, message):
    with pytest.raises(ConfigError, match=message):
        invoke("train", project / "reward.yaml", argument)
    assert not (project / "run").exists()
