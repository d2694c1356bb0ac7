"""`spanwise dpo` and `spanwise edits export`: from a file of edits to a better policy, and what bad input says."""

import json

import pytest
import yaml
from doubles import models as doubles
from typer.testing import CliRunner

from spanwise.cli.edits import app as edits_app
from spanwise.cli.policies import app as policies_app
from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.edits import EditPair
from spanwise.feedback.files import load_or_raise, write_records
from spanwise.feedback.prompts import DemonstrationRecord
from spanwise.models import Policy

PAIRS = [
    EditPair(
        id=name,
        prompt=f"where was {name} born?",
        original=f"{name} was born in Brack.",
        edited=f"{name} was born in Oslo.",
    )
    for name in ("Ada", "Ines", "Korr", "Veld")
]


@pytest.fixture(name="work")
def folder_with_a_policy_and_pairs(tmp_path):
    Policy(*doubles.tiny_llama()).save(tmp_path / "base")
    write_records(tmp_path / "pairs.jsonl", PAIRS)
    names = {"policy": "base", "pairs": "pairs.jsonl", "heldout": "pairs.jsonl", "run_dir": "run"}
    values = {key: str(tmp_path / name) for key, name in names.items()}
    (tmp_path / "dpo.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def run(app, *arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_training_on_a_file_of_edits(work):
    done = run(
        policies_app, "dpo", work / "dpo.yaml", "epochs=2", "learning_rate=0.001", "loss.changed_weight=2", "--json"
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["checkpoint"] == str(work / "run" / "checkpoints" / "best")
    assert summary["heldout"]["accuracy"] == 1.0
    assert yaml.safe_load((work / "run" / "config.yaml").read_text())["loss"]["changed_weight"] == 2
    with pytest.raises(ConfigError, match="holds a run already"):
        run(policies_app, "dpo", work / "dpo.yaml")


def test_bad_input_is_named_before_any_work(work):
    with pytest.raises(ConfigError, match=r"loss.betta"):
        run(policies_app, "dpo", work / "dpo.yaml", "loss.betta=1")
    with pytest.raises(ConfigError, match="both 0"):
        run(policies_app, "dpo", work / "dpo.yaml", "loss.preference=0")
    with pytest.raises(DataError, match=r"absent.jsonl"):
        run(policies_app, "dpo", work / "dpo.yaml", f"pairs={work / 'absent.jsonl'}")
    assert not (work / "run").exists()


def test_help_explains_the_positive_term():
    shown = run(policies_app, "dpo", "--help")
    assert shown.exit_code == 0
    assert "loss.penalty" in shown.output
    assert "DPOP" in shown.output


def test_edits_become_demonstrations_and_preferences(work):
    for kind in ("demonstrations", "preferences", "pairs"):
        done = run(edits_app, "export", work / "pairs.jsonl", "--to", kind, "-o", work / f"{kind}.jsonl")
        assert done.exit_code == 0, done.output
        assert f"4 {kind}." in done.output
    found = load_or_raise(work / "demonstrations.jsonl", DemonstrationRecord)
    assert [record.completion for record in found] == [pair.edited for pair in PAIRS]
    line = json.loads((work / "preferences.jsonl").read_text().splitlines()[0])
    assert list(line) == ["prompt", "chosen", "rejected"]
    assert load_or_raise(work / "pairs.jsonl", EditPair) == PAIRS


def test_an_export_of_nothing_says_why(work):
    write_records(work / "blank.jsonl", [PAIRS[0].model_copy(update={"edited": ""})])
    with pytest.raises(DataError, match="no pair can be written as demonstrations: empty edit 1"):
        run(edits_app, "export", work / "blank.jsonl", "--to", "demonstrations", "-o", work / "out.jsonl")
    assert not (work / "out.jsonl").exists()
