"""`spanwise init`: from a file to a folder that runs, without a file written by hand."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doubles.marked_answers import marked_answers
from typer.testing import CliRunner

import spanwise.cli.quickstart as command
from spanwise.cli.quickstart import app
from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, PromptRecord, Response, load_or_raise
from spanwise.reward_models import load_reward_config
from spanwise.rl import RLConfig
from spanwise.setup import project
from spanwise.setup.project import make_project


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """What is measured takes seconds; the test of three commands, in processes of its own, measures."""
    monkeypatch.setattr(project, "estimate", lambda *_, **__: ["sft: 1 s."])


def test_three_commands_lead_from_a_spreadsheet_to_a_report(model, tmp_path):
    """With three steps of RL; the whole length is that of the tutorial's test."""
    as_csv(tmp_path / "answers.csv", rows_of(marked_answers(24)))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*words):
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run("spanwise", "init", "mine", "--from", "answers.csv", "--model", str(model), *MAPPED, "--empty-is-clean")
    assert "heads: off_topic, wrong_town" in said
    rl = tmp_path / "mine" / "rl.yaml"
    rl.write_text(rl.read_text().replace("\nsteps: 20\n", "\nsteps: 3\n"))
    assert RLConfig.load(rl).steps == 3
    ran = run("bash", "mine/run.sh")
    assert "19 good records, 0 bad" in ran
    run("spanwise", "report", "mine/runs/rl", "mine/runs/evaluation", "--output", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "off_topic" in page
    assert (tmp_path / "mine/runs/rl/checkpoints/best/model.safetensors").is_file()
    heads = json.loads((tmp_path / "mine/runs/reward/results.json").read_text())["reward_models"]
    assert sorted(heads) == ["off_topic", "wrong_town"]
    again = run("bash", "mine/run.sh")
    assert again.count("done before") == 4
    _run_cells(tmp_path / "mine")


def _run_cells(folder):
    """The notebook's code, which finds every step done; its last cell writes the report anew."""
    cells = json.loads((folder / "notebook.ipynb").read_text())["cells"]
    code = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    assert "off_topic" in done.stdout
    assert (folder / "report.html").is_file()


def test_the_parts_share_no_question_and_configs_say_what_the_data_is(model, tmp_path):
    records = marked_answers(48)
    made = make_project(tmp_path / "mine", records, source=tmp_path / "marks.jsonl", model=str(model))
    data = tmp_path / "mine" / "data"
    training, heldout = (
        load_or_raise(data / name, FeedbackRecord) for name in ("feedback.jsonl", "heldout_feedback.jsonl")
    )
    assert sorted(r.id for r in (*training, *heldout)) == sorted(r.id for r in records)
    assert len(heldout) == 10
    asked = {
        part: {r.prompt for r in load_or_raise(data / f"{part}.jsonl", PromptRecord)}
        for part in ("prompts", "heldout_prompts")
    }
    assert asked["heldout_prompts"] == {r.prompt for r in heldout}
    assert not asked["prompts"] & asked["heldout_prompts"]
    learned = load_or_raise(data / "demonstrations.jsonl", DemonstrationRecord)
    clean = {r.responses[0].text for r in training if not r.responses[0].spans}
    assert {r.completion for r in learned} <= clean
    reward = load_reward_config(tmp_path / "mine" / "reward.yaml")
    assert {name: rule.categories for name, rule in reward.custom.items()} == {
        "off_topic": ("Off topic",),
        "wrong_town": ("Wrong town",),
    }
    assert any("Spelling" in sentence for sentence in made.plan.said)
    assert set(RLConfig.load(tmp_path / "mine" / "rl.yaml").mixture.sources) == set(reward.heads)


def test_every_setting_of_a_config_has_a_comment_and_reads_back_as_planned(marks, model, tmp_path):
    made = make_project(tmp_path / "mine", load_or_raise(marks, FeedbackRecord), source=marks, model=str(model))
    for name, values in made.plan.settings.items():
        lines = (tmp_path / "mine" / name).read_text().splitlines()
        assert yaml.safe_load("\n".join(lines)) == values
        for number, line in enumerate(lines):
            if line and not line.startswith((" ", "#")):
                assert lines[number - 1].startswith("# "), f"{name}: {line} has no comment"


@pytest.mark.parametrize("taken", ["data", "rl.yaml", "runs"])
def test_a_folder_that_holds_a_project_is_left_as_it_is(marks, model, tmp_path, taken):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / taken).write_text("mine")
    with pytest.raises(ConfigError, match=f"holds {taken} already"):
        make_project(folder, load_or_raise(marks, FeedbackRecord), source=marks, model=str(model))
    assert [path.name for path in folder.iterdir()] == [taken]
    assert (folder / taken).read_text() == "mine"


def test_a_project_goes_into_the_folder_where_the_file_lies(marks, model, tmp_path):
    make_project(tmp_path, load_or_raise(marks, FeedbackRecord), source=marks, model=str(model))
    assert marks.is_file()
    assert (tmp_path / "run.sh").is_file()


def test_nothing_is_left_where_writing_fails(marks, model, tmp_path, monkeypatch):
    def full(path, text):
        raise DataError(f"{path}: the disk is full.")

    monkeypatch.setattr(project, "write_text", full)
    with pytest.raises(DataError, match="full"):
        make_project(tmp_path / "mine", load_or_raise(marks, FeedbackRecord), source=marks, model=str(model))
    assert not list((tmp_path / "mine").iterdir())


def test_what_cannot_be_learned_from_is_refused_before_anything_is_written(model, tmp_path):
    unmarked = [FeedbackRecord(id=str(n), prompt=f"q{n}", responses=(Response(text="Yes."),)) for n in range(9)]
    with pytest.raises(DataError, match="nothing for a reward model to learn from"):
        make_project(tmp_path / "mine", unmarked, source=tmp_path / "marks.jsonl", model=str(model))
    with pytest.raises(DataError, match="asks 3 different questions"):
        make_project(tmp_path / "mine", unmarked[:3], source=tmp_path / "marks.jsonl", model=str(model))
    with pytest.raises(CheckpointError, match="no model can be read there"):
        make_project(tmp_path / "mine", marked_answers(24), source=tmp_path / "marks.jsonl", model=str(tmp_path))
    assert not (tmp_path / "mine").exists()


def init(*words, **more):
    return CliRunner().invoke(app, ["init", *map(str, words)], **more)


def test_without_a_terminal_a_missing_model_is_named(marks, tmp_path):
    done = init(tmp_path / "mine", "--from", marks)
    assert isinstance(done.exception, ConfigError)
    assert "--model is needed" in str(done.exception)


def test_on_a_terminal_it_asks_for_the_model(marks, model, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_on_terminal", lambda: True)
    done = init(tmp_path / "mine", "--from", marks, "--json", input=f"{model}\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout[done.stdout.index("{") :])["heads"] == ["off_topic", "wrong_town"]


HEAD = ("Frage", "Antwort", "falsch", "Art")


def rows_of(records):
    """A table with names that say nothing; a row an answer, without a word on who finished it."""
    for record in records:
        (answer,) = record.responses
        quotes = [(mark.quote, mark.category) for mark in answer.spans]
        joined = [" | ".join(words) for words in zip(*quotes, strict=True)] or ["", ""]
        yield dict(zip(HEAD, (record.prompt, answer.text, *joined), strict=True))


def as_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, HEAD, delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def as_excel(path, rows):
    book = pytest.importorskip("openpyxl").Workbook()
    book.active.title = "notes"
    book.active.append(["Bitte alle Zeilen lesen."])
    sheet = book.create_sheet("answers")
    for row in [HEAD, *(tuple(row.values()) for row in rows)]:
        sheet.append(row)
    book.save(path)


def as_parquet(path, rows):
    table = pytest.importorskip("pyarrow").Table.from_pylist(rows)
    pytest.importorskip("pyarrow.parquet").write_table(table, path)


MAPPED = [word for pair in zip(("prompt", "response", "marks", "category"), HEAD, strict=True)
          for word in ("--column", "=".join(pair))]  # fmt: skip
KINDS = {".csv": as_csv, ".xlsx": as_excel, ".parquet": as_parquet}


@pytest.fixture(name="table", params=list(KINDS))
def a_table(request, tmp_path):
    path = tmp_path / f"answers{request.param}"
    KINDS[request.param](path, list(rows_of(marked_answers(24))))
    return path


def known(folder):
    """The marks and the judgement of every answer of a project."""
    records = [
        record
        for name in ("feedback.jsonl", "heldout_feedback.jsonl")
        for record in load_or_raise(folder / "data" / name, FeedbackRecord)
    ]
    return sorted((r.prompt, answer.marked, answer.spans) for r in records for answer in r.responses)


def test_a_table_is_read_as_options_say(table, model, tmp_path):
    words = ["--from", table, "--model", model, *MAPPED, "--empty-is-clean"]
    done = init(tmp_path / "mine", *words, *(["--sheet", "answers"] if table.suffix == ".xlsx" else []))
    assert done.exit_code == 0, done.output
    expected = sorted((r.prompt, True, r.responses[0].spans) for r in marked_answers(24))
    assert known(tmp_path / "mine") == expected


def test_on_a_terminal_it_asks_for_what_a_table_does_not_say(table, model, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_on_terminal", lambda: True)
    # sheet, answers, what was asked (of three columns left), quotes (of two), then whether every row was read
    typed = [*(["answers"] if table.suffix == ".xlsx" else []), "Antwort", "9", "1", "falsch", "y"]
    words = ["--from", table, "--model", model, "--column", "category=Art"]
    done = init(tmp_path / "mine", *words, input="\n".join(typed) + "\n")
    assert done.exit_code == 0, done.output
    assert "Give one of the numbers 1 to 3." in done.stderr
    assert "answers without a mark: has somebody read every row" in done.stderr
    assert known(tmp_path / "mine") == sorted((r.prompt, True, r.responses[0].spans) for r in marked_answers(24))


def test_elsewhere_it_says_what_a_table_leaves_open(table, model, tmp_path):
    sheet = ["--sheet", "answers"] if table.suffix == ".xlsx" else []
    refused = init(tmp_path / "mine", "--from", table, "--model", model, *sheet)
    assert isinstance(refused.exception, DataError)
    assert "--column response=COLUMN" in str(refused.exception)
    done = init(tmp_path / "mine", "--from", table, "--model", model, *MAPPED, *sheet)
    assert done.exit_code == 0, done.output
    clean = sum(not r.responses[0].spans for r in marked_answers(24))
    assert f"{clean} answers without a mark count as unjudged; --empty-is-clean says" in done.stderr
    assert sum(not marked for _, marked, _ in known(tmp_path / "mine")) == clean


def test_a_quote_that_cannot_be_placed_stops_it_unless_that_loss_is_allowed(model, tmp_path):
    rows = list(rows_of(marked_answers(24)))
    rows[1]["falsch"] = "It never rains."
    as_csv(tmp_path / "answers.csv", rows)
    words = ["--from", tmp_path / "answers.csv", "--model", model, *MAPPED, "--empty-is-clean"]
    refused = init(tmp_path / "mine", *words)
    assert isinstance(refused.exception, DataError)
    assert "answers.csv:3: row 3: falsch: 'It never rains.'" in refused.stderr
    done = init(tmp_path / "mine", *words, "--allow-loss", "quotes that do not stand in the answer")
    assert done.exit_code == 0, done.output
    assert sum(not marked for _, marked, _ in known(tmp_path / "mine")) == 1, "nobody knows whether it is clean"


def test_records_that_cannot_be_read_go_missing_only_where_somebody_says_so(marks, model, tmp_path):
    with marks.open("a") as stream:
        stream.write('{"id": "bad", "prompt": "q", "responses": []}\n')
    refused = init(tmp_path / "mine", "--from", marks, "--model", model)
    assert isinstance(refused.exception, DataError)
    assert "1 record cannot be read" in str(refused.exception)
    assert "marks.jsonl:25" in refused.stderr
    assert not (tmp_path / "mine").exists()
    done = init(tmp_path / "mine", "--from", marks, "--model", model, "--skip-bad")
    assert done.exit_code == 0, done.output
    assert "marks.jsonl:25" in (tmp_path / "mine" / "data" / "left_out.txt").read_text()


def test_a_file_that_is_known_to_be_something_else_is_named(model, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><html></html>")
    done = init(tmp_path / "mine", "--from", page, "--model", model)
    assert isinstance(done.exception, DataError)
    assert "a web page or XML" in str(done.exception)


def test_corrections_alone_make_a_reward_of_tokens(model, tmp_path):
    records = [
        record.model_copy(update={"responses": (Response(text=r.text, correction=f"{r.text[:-1]}, in Norway."),)})
        for record in marked_answers(24)
        for r in record.responses
    ]
    made = make_project(tmp_path / "mine", records, source=tmp_path / "edits.jsonl", model=str(model))
    assert made.plan.reads_edits
    assert load_reward_config(tmp_path / "mine" / "reward.yaml").kind == "token"
    assert list(RLConfig.load(tmp_path / "mine" / "rl.yaml").mixture.sources) == ["token"]
    completions = [
        r.completion for r in load_or_raise(tmp_path / "mine" / "data" / "demonstrations.jsonl", DemonstrationRecord)
    ]
    assert all(text.endswith("in Norway.") for text in completions)
