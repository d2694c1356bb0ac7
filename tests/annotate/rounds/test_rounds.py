"""The change of rounds beside the server: one at a time, never held up by it, and it is told how it ended."""

import json
import sys
import time

import pytest
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import create_user, local_user
from spanwise.annotate.rounds import job as round_job
from spanwise.annotate.rounds.job import Diary, RoundJob, only_one
from spanwise.annotate.rounds.rounds import LOG, RoundConfig, next_round
from spanwise.annotate.store.setup import current, open_project
from spanwise.annotate.web.app import create_app
from spanwise.core.errors import ConfigError, DataError
from spanwise.core.files import read_json
from spanwise.feedback.schema import FeedbackRecord, Response

WAITS = """
import sys, time
from pathlib import Path
from spanwise.annotate.rounds.job import Diary, only_one
project = Path(sys.argv[-2])
with only_one(project):
    diary = Diary(project, 1)
    (project / "rounds" / "round-1").mkdir(exist_ok=True)
    (project / "rounds" / "round-1" / "log.txt").write_text("step 1\\nstep 2\\n")
    diary.begin("train")
    end = time.monotonic() + 120  # nobody is left to end it where the test fails
    while not (project / "go").exists() and time.monotonic() < end:
        time.sleep(0.05)
    diary.done("Round 2: 4 of 10 answers queued, 1 by lot.")
"""
DIES = "import sys; print('No module named torch', file=sys.stderr); sys.exit(1)"


@pytest.fixture
def opened(tmp_path):
    """(folder, database, project) of a project that says how rounds are closed."""
    database, project = open_project(tmp_path, preset_name="qa-feedback")
    (tmp_path / "round.yaml").write_text("reward_model: r.yaml\ngenerate: g.yaml\nprompts: p.jsonl\n")
    yield tmp_path, database, project
    database.close()


def becomes(job: RoundJob, state: str, *, stage: str | None = None):
    """Waits until the job is in `state`."""
    deadline = time.monotonic() + 90
    while (now := job.state()).state != state or (stage is not None and now.stage != stage):
        assert time.monotonic() < deadline, now
        time.sleep(0.05)
    return now


def command(monkeypatch, script: str) -> None:
    monkeypatch.setattr(round_job, "COMMAND", (sys.executable, "-c", script))


def test_a_round_runs_beside_the_server_and_only_once(opened, monkeypatch):
    folder, database, _ = opened
    job, boss = RoundJob(folder), local_user(database)
    assert job.state().state == "idle"
    command(monkeypatch, WAITS)
    job.start(1, by=boss)
    now = becomes(job, "running", stage="train")
    assert (now.round, now.log) == (1, ("step 1", "step 2"))
    with pytest.raises(DataError, match="already"):
        job.start(1, by=boss)
    with pytest.raises(ConfigError, match="already"), only_one(folder):
        pass
    assert RoundJob(folder).state().state == "running"  # a server that began meanwhile sees it as well
    (folder / "go").touch()
    assert becomes(job, "done").said == "Round 2: 4 of 10 answers queued, 1 by lot."


def test_a_command_that_dies_is_told_with_its_last_words(opened, monkeypatch):
    folder, database, _ = opened
    job = RoundJob(folder)
    command(monkeypatch, DIES)
    job.start(1, by=local_user(database))
    assert becomes(job, "failed").said == "No module named torch"


def test_a_round_that_was_killed_says_so_and_can_be_started_again(opened, monkeypatch):
    folder, database, _ = opened
    job = RoundJob(folder)
    command(monkeypatch, WAITS)
    job.start(1, by=local_user(database))
    becomes(job, "running", stage="train")
    job._process.kill()
    assert "goes on where it stopped" in becomes(job, "failed").said
    (folder / "go").touch()
    job.start(1, by=local_user(database))
    becomes(job, "done")


def test_what_is_not_described_is_not_started(tmp_path):
    database, _ = open_project(tmp_path, preset_name="qa-feedback")
    job = RoundJob(tmp_path)
    assert not job.state().ready
    with pytest.raises(ConfigError, match=r"round\.yaml"):
        job.start(1, by=local_user(database))
    database.close()


def test_the_button_is_there_for_managers_alone(opened, monkeypatch):
    folder, database, project = opened
    job = RoundJob(folder)
    app = create_app(database, project, parts=[job])

    def visitor(user):
        http = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
        http.cookies.set(http.app.state.site.cookie.name, new_session(database, user).token)
        return http

    viewer, manager = (visitor(create_user(database, role, role=role)) for role in ("viewer", "manager"))
    assert "Close round 1" not in viewer.get("/overview").text
    assert "Close round 1" in manager.get("/overview").text
    assert viewer.get("/api/v1/round").status_code == viewer.post("/api/v1/round").status_code == 403
    command(monkeypatch, DIES)
    assert manager.post("/round").headers["location"] == "/overview"
    assert becomes(job, "failed").said
    assert manager.get("/api/v1/round").json()["state"] == "failed"
    assert manager.get("/overview").status_code == 200


class OneAnswer:
    """Steps of a round that a model takes, without a model."""

    def train(self, feedback, run_dir):
        (feedback.parent / LOG).write_text("trained\n")

    def answer(self, output):
        return [FeedbackRecord(id="q", prompt="Why?", responses=(Response(text="So."),))]

    def score(self, run_dir, records):
        return {record.id: 0.5 for record in records}


def test_stages_are_told_in_turn_and_later_imports_belong_to_the_new_round(opened):
    folder, database, project = opened
    http = TestClient(create_app(database, project), base_url="http://127.0.0.1:8000")
    http.cookies.set(http.app.state.site.cookie.name, new_session(database, local_user(database)).token)

    def upload(name: str) -> None:
        response = {"text": "So it is.", "marked": True, "correction": "So it is."}
        line = json.dumps({"id": name, "prompt": "Why?", "responses": [response]})
        files = {"file": ("f.jsonl", line.encode())}
        assert "1 items" in http.post("/data/import", files=files, data={"format": "spanwise"}).text

    upload("first")
    config = RoundConfig.load(folder / "round.yaml")
    told: list[str] = []
    diary = Diary(folder, 1)

    def say(stage) -> None:
        told.append(stage)
        diary.begin(stage)

    boss = local_user(database)
    next_round(database, project, OneAnswer(), by=boss, folder=folder / "rounds", config=config, say=say)
    assert told == ["export", "train", "answer", "score", "queue"]
    assert read_json(folder / "rounds" / "state.json")["stage"] == "queue"
    assert current(database, project).round == 2
    upload("second")
    rounds = {row["ext_id"]: row["round"] for row in http.get("/api/v1/items").json()["rows"]}
    assert rounds == {"first": 1, "round-2/q": 2, "second": 2}
