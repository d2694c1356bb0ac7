"""`spanwise annotate`: the commands around the app, on a project in a folder."""

import contextlib
import json

import pytest
from doubles.feedback import small_item
from typer.testing import CliRunner

from spanwise.annotate.people import redeem_login, set_password
from spanwise.annotate.store import open_project
from spanwise.cli.annotate import app
from spanwise.cli.annotate_serve import _say_where, serve
from spanwise.core.errors import ConfigError, DataError, SpanwiseError


def _run(*arguments, **more):
    return CliRunner().invoke(app, list(map(str, arguments)), **more)


def _import(folder, *options):
    return _run("import", folder / "p", folder / "items.json", "--from", "qa-feedback", "--json", *options)


@pytest.fixture
def project(tmp_path):
    """A project with one imported item."""
    (tmp_path / "items.json").write_text(json.dumps([small_item()]))
    done = _run(
        "import", tmp_path / "p", tmp_path / "items.json", "--from", "qa-feedback", "--preset", "qa-feedback", "--json"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == 1
    return tmp_path / "p"


def test_what_was_imported_is_exported(project, tmp_path):
    done = _run("export", project, tmp_path / "out.json", "--to", "qa-feedback", "--json")
    assert json.loads(done.stdout)["rows"] == 1
    assert json.loads((tmp_path / "out.json").read_text()) == [small_item()]


def test_bad_records_are_listed_and_leave_exit_code_2(project, tmp_path):
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    done = _run("import", project, tmp_path / "bad.jsonl")
    assert done.exit_code == 2
    assert "bad.jsonl:1:" in done.stderr


def test_an_import_is_taken_back(project, tmp_path):
    batch = json.loads(_run("import", project, tmp_path / "items.json", "--from", "qa-feedback", "--json").stdout)[
        "batch_id"
    ]
    assert "0 items" in _run("take-back", project, batch).stdout


def test_progress_and_agreement(project):
    found = json.loads(_run("progress", project, "--json").stdout)
    assert (found["items"], found["slots_open"]) == (1, 1)
    assert "1 items" in _run("progress", project).stdout
    assert json.loads(_run("agreement", project, "--json").stdout)["items"] == 0
    assert "nobody judged" in _run("agreement", project).stdout


def test_people_come_and_go(project):
    assert "/login/once?key=" in _run("users", "add", project, "ann").stdout
    assert _run("users", "add", project, "bob", "--role", "manager", "--password", input="long enough\n").exit_code == 0
    _run("users", "disable", project, "ann")
    people = json.loads(_run("users", "list", project, "--json").stdout)["users"]
    assert [(one["name"], one["role"], one["disabled"]) for one in people] == [
        ("ann", "annotator", True),
        ("bob", "manager", False),
    ]
    assert isinstance(_run("users", "password", project, "bob", input="short\n").exception, DataError)


def test_the_database_is_copied_checked_and_upgraded(project, tmp_path):
    assert _run("db", "backup", project, tmp_path / "copy.db").exit_code == 0
    assert json.loads(_run("db", "check", project, "--json").stdout)["ok"]
    assert "revision" in _run("db", "upgrade", project).stdout


def test_a_server_that_others_could_reach_is_refused(project):
    with pytest.raises(ConfigError, match="nobody has a password"):
        serve(project, host="0.0.0.0")
    _run("users", "add", project, "bob", "--password", input="long enough\n")
    with pytest.raises(ConfigError, match="--behind-proxy"):
        serve(project, host="0.0.0.0", host_name=["example.org"])


@pytest.mark.parametrize("arguments", [
    ("import", "{p}", "{p}/none.jsonl"), ("import", "{p}", "x", "--from", "excel"),
    ("import", "{p}", "x", "--overlap", "0"),
    ("export", "{p}", "x", "--to", "excel"), ("progress", "{p}/nothing"),
    ("serve", "{p}/nothing"), ("take-back", "{p}", "none"),
    ("import", "{p}/nothing", "{p}/none.json", "--preset", "toxicity"),
    ("import", "{p}/nothing", "{p}/project.yaml", "--preset", "toxicity", "--from", "excel"),
])  # fmt: skip
def test_mistakes_end_in_a_sentence(project, arguments):
    done = _run(*(argument.replace("{p}", str(project)) for argument in arguments))
    assert isinstance(done.exception, SpanwiseError)
    assert str(done.exception).endswith((".", "none", "thresh."))
    assert not (project / "nothing").exists()


def test_adding_people_locks_no_administrator_out(project, capsys):
    with open_project_of(project) as base:
        _say_where(base, "127.0.0.1", 8000)
        assert "/login/once?key=" in capsys.readouterr().out
    assert _run("users", "add", project, "ann", "--password", input="correct horse\n").exit_code == 0
    with open_project_of(project) as base:  # somebody has a password now, but no administrator
        _say_where(base, "127.0.0.1", 8000)
        key = capsys.readouterr().out.split("/login/once?key=")[1].split()[0]
        assert redeem_login(base, key).user.role == "admin"
        set_password(base, "me", "correct horse")
        _say_where(base, "127.0.0.1", 8000)
        assert "/login/once?key=" not in capsys.readouterr().out
    assert "/login/once?key=" in _run("users", "link", project, "ann").stdout
    assert "manager" in _run("users", "role", project, "ann", "manager").stdout


def open_project_of(folder):
    return contextlib.closing(open_project(folder)[0])
