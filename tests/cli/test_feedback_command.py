import gzip
import json

import pytest
from doubles.feedback import qa_file, small_item, small_record
from typer.testing import CliRunner

from spanwise.cli.feedback import app
from spanwise.core import ConfigError
from spanwise.feedback.files import read_records, write_records
from spanwise.feedback.schema import FeedbackRecord


@pytest.fixture
def run():
    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "some_feedback.json.gz"
    path.write_bytes(gzip.compress(json.dumps([small_item()] * 2).encode()))
    return path


@pytest.fixture
def half_bad(tmp_path):
    path = tmp_path / "half.json"
    path.write_text(json.dumps([small_item(), small_item() | {"gold": 3, "question": ""}], indent=1))
    return path


def test_stats_as_json_holds_the_promised_figures(run, items):
    figures = json.loads(run("stats", items, "--format", "qa-feedback", "--json").stdout)
    assert (figures["items"], figures["spans"], figures["missing"], figures["rejected"]) == (2, 6, 2, 0)
    assert figures["spans_by_category"] == {"Redundant": 2, "Wrong-Grounding": 2, "Irrelevant": 2}
    assert figures["preferences"] == {"first": 6, "second": 2, "tie": 4}
    assert figures["first_listed_win_rate"] == 0.75
    assert any("6 of 8 responses" in warning for warning in figures["warnings"])


def test_stats_of_real_feedback(run):
    figures = json.loads(run("stats", qa_file("dev_feedback.json.gz"), "--format", "qa-feedback", "--json").stdout)
    assert (figures["items"], figures["spans"], figures["missing"]) == (500, 1373, 842)
    assert figures["preferences"] == {"first": 1577, "second": 1039, "tie": 384}
    assert round(figures["first_listed_win_rate"], 3) == 0.603


def test_stats_as_tables_fit_a_terminal_and_show_hostile_names_as_they_are(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    record = small_record()
    first = record.responses[0]
    spans = (first.spans[0].model_copy(update={"category": "[bold]odd[/nope]\x1b[2J"}), first.spans[1])
    path = tmp_path / "a.jsonl"
    response = first.model_copy(update={"spans": spans})
    write_records(path, [record.model_copy(update={"responses": (response, *record.responses[1:])})])
    shown = run("stats", path).stdout
    assert "[bold]odd[/nope]\\x1b[2J" in shown
    assert "\x1b" not in shown
    assert "Missing-Answer" in shown
    assert max(len(line) for line in shown.splitlines()[1:]) <= 80


def test_validate_is_quiet_about_good_files(run, items):
    result = run("validate", items, "--format", "qa-feedback")
    assert result.stdout == f"{items}: 2 good records, 0 bad.\n"
    assert result.stderr == ""


def test_validate_names_every_problem(run, half_bad):
    result = run("validate", half_bad, "--format", "qa-feedback", code=2)
    assert result.stdout == f"{half_bad}: 1 good record, 1 bad.\n"
    where = 2 + len(json.dumps([small_item()], indent=1).splitlines()[1:-1])
    assert result.stderr.splitlines() == [
        f"{half_bad}:{where}: item 1: question: is empty; an annotator cannot have judged it, remove the item.",
        f"{half_bad}:{where}: item 1: gold: must be a string (got 3).",
        "2 problems in 1 record.",
    ]
    report = json.loads(run("validate", half_bad, "--format", "qa-feedback", "--json", code=2).stdout)
    assert (report["records"], report["rejected"]) == (1, 1)
    assert report["problems"][1] == {
        "file": str(half_bad), "line": where, "item": 1, "field": "gold", "reason": "must be a string (got 3).",
    }  # fmt: skip


def test_many_problems_are_counted_and_all_in_the_json(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("{\n" * 50)
    shown = run("validate", path, code=2).stderr.splitlines()
    assert (len(shown), shown[-2]) == (22, "... and 30 more problems; --json lists all of them.")
    assert len(json.loads(run("validate", path, "--json", code=2).stdout)["problems"]) == 50


def test_convert_there_and_back(run, items, tmp_path):
    ours, theirs = tmp_path / "new" / "a.jsonl", tmp_path / "b.json"
    run("convert", items, "--from", "qa-feedback", "--to", "spanwise", "--output", ours)
    assert len(read_records(ours, FeedbackRecord).records) == 2
    run("convert", ours, "--from", "spanwise", "--to", "qa-feedback", "--output", theirs)
    assert json.loads(theirs.read_text()) == [small_item()] * 2


def test_convert_refuses_bad_records_and_says_how_to_go_on(run, half_bad, tmp_path):
    output = tmp_path / "out.jsonl"
    arguments = ("convert", half_bad, "--from", "qa-feedback", "--to", "spanwise", "--output", output)
    refused = run(*arguments, code=2)
    assert not output.exists()
    assert "Nothing was written. --skip-bad writes the good records" in refused.stderr
    done = run(*arguments, "--skip-bad")
    assert "Wrote 1 record to" in done.stdout
    assert str(tmp_path / "out.jsonl.rejected.jsonl") in done.stdout
    summary = json.loads(run(*arguments, "--skip-bad", "--json").stdout)
    assert (summary["written"], summary["rejected"]) == (1, 1)
    assert summary["rejected_output"] == str(tmp_path / "out.jsonl.rejected.jsonl")
    assert json.loads(run(*arguments, "--json", code=2).stdout)["written"] == 0


def test_convert_says_what_the_target_has_no_place_for(run, items, tmp_path):
    ours = tmp_path / "a.jsonl"
    run("convert", items, "--from", "qa-feedback", "--to", "spanwise", "--output", ours)
    records = read_records(ours, FeedbackRecord).records
    write_records(ours, [record.model_copy(update={"annotator": "a"}) for record in records])
    told = run("convert", ours, "--to", "qa-feedback", "--output", tmp_path / "b.json").stderr
    assert told == "The format qa-feedback has no place for annotator: it was left out of 2 records.\n"


def test_a_folder_is_no_output(items, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is a folder; name the file to write"):
        CliRunner().invoke(app, ["convert", str(items), ".", "--from", "qa-feedback"], catch_exceptions=False)
