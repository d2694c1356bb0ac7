import json

import pytest
from doubles.experiment import write_experiment, write_run
from typer.testing import CliRunner

from spanwise.cli.evaluate import app as evaluate_app
from spanwise.cli.share import app as share_app
from spanwise.core.errors import DataError


def run(app, *words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_report_writes_one_page(tmp_path):
    write_run(tmp_path / "run", steps=2)
    result = run(share_app, "report", tmp_path / "run", "--output", tmp_path / "page.html", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["bytes"] == (tmp_path / "page.html").stat().st_size
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")


def test_report_of_nothing_leaves_nothing(tmp_path):
    result = run(share_app, "report", tmp_path, "--output", tmp_path / "page.html")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "page.html").exists()


@pytest.fixture
def answers(tmp_path):
    rows = [{"id": f"q{i}", "prompt": f"Q{i}?", "references": ["Ada was born in Oslo."]} for i in range(10)]
    lines = {
        "prompts": rows,
        "new": [{"id": row["id"], "response": "Ada was born in Oslo."} for row in rows],
        "old": [{"id": row["id"], "response": "Ada."} for row in rows],
    }
    for name, values in lines.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in values), "utf-8")
    settings = f"prompts: {tmp_path}/prompts.jsonl\nresponses: {tmp_path}/new.jsonl\nresamples: 200\n"
    (tmp_path / "evaluate.yaml").write_text(settings, "utf-8")
    return tmp_path


def test_evaluate_prints_one_json_object(answers):
    result = run(evaluate_app, answers / "evaluate.yaml", f"baseline={answers}/old.jsonl", "--json")
    found = json.loads(result.stdout)
    assert found["metrics"]["rouge_lsum"]["mean"] == 1.0
    assert found["baseline"]["words"]["mean"] == 1.0
    assert found["differences"]["words"]["mean"] == 4.0
    assert found["differences"]["rouge_lsum"]["verdict"] == "not held"
    alone = json.loads(run(evaluate_app, answers / "evaluate.yaml", "--json").stdout)
    assert (alone["baseline"], alone["differences"]) == (None, None)


def test_evaluate_says_it_in_words_and_the_report_reads_what_it_wrote(answers):
    words = [f"baseline={answers}/old.jsonl", f"output={answers}/compared"]
    result = run(evaluate_app, answers / "evaluate.yaml", *words)
    assert "ROUGE-Lsum rose from" in " ".join(result.stdout.split()).replace("Better: ", "")
    assert run(share_app, "report", answers / "compared", "--output", answers / "page.html").exit_code == 0
    assert "Ada was born in Oslo." in (answers / "page.html").read_text("utf-8")


def test_help_shows_every_field_of_the_config():
    shown = run(evaluate_app, "--help").stdout
    for field in ("prompts", "responses", "baseline", "reward_models", "resamples", "level", "seed", "output"):
        assert field in shown


def test_an_experiment_that_is_damaged_is_told_by_field(tmp_path):
    write_experiment(tmp_path, seeds=(0,), prompts=6, steps=2)
    value = json.loads((tmp_path / "results.json").read_text("utf-8"))
    value["arms"]["sft"]["metrics"]["words"]["mean"] = "many"
    (tmp_path / "results.json").write_text(json.dumps(value), "utf-8")
    result = run(share_app, "report", tmp_path, "--output", tmp_path / "page.html")
    assert isinstance(result.exception, DataError)
    assert "arms.sft.metrics.words.mean" in str(result.exception)
