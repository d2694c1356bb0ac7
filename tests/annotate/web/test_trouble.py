"""What goes on when the database does not: a process that is stopped holds it, or its disk is full."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from doubles.annotation import World
from sqlalchemy import event
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session, set_password
from spanwise.annotate.store import tables
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.refusals import BusyError, StorageError
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web import endpoints
from spanwise.annotate.web.app import PATIENCE, create_app
from spanwise.annotate.web.routes import ENDPOINTS
from spanwise.annotate.web.watch import access
from spanwise.core import strict_json
from spanwise.core.locks import Turn

PASSWORD = "correct horse"
HOLD = """
import sys, time
from spanwise.annotate.store.database import Database
base = Database(sys.argv[1])
with base.write("held") as connection:
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def stopped(world):
    """A process of somebody else that has begun to write and is stopped, as by Ctrl+Z."""
    if world.database.dialect != "sqlite":
        pytest.skip("on PostgreSQL writers do not queue at a file")
    held = subprocess.Popen([sys.executable, "-c", HOLD, world.database.url], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline().strip() == "held"
    os.kill(held.pid, signal.SIGSTOP)
    yield held
    held.kill()
    held.wait()
    held.stdout.close()


def _client(world: World, name: str = "ann", role: str = "annotator") -> TestClient:
    app = create_app(world.database, world.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, follow_redirects=False)
    http.cookies.set(app.state.site.cookie.name, new_session(world.database, world.user(name, role)).token)
    return http


def _fill(database: Database) -> None:
    """No file becomes larger than it is: a full disk, as SQLite sees it."""
    event.listen(database.engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count=1"))
    database.engine.dispose()


def _draft(http: TestClient, held, document: dict | None = None, **more):
    lease = {"round": held.round, "lease_token": held.lease_token}
    sent = lease | {"base_rev": 0, "document": document or {"body": {"comment": "x" * 200_000}}} | more
    return http.put(f"/api/v1/items/{held.item_id}/draft", json=sent)


def test_a_stopped_writer_holds_up_no_reader_and_writers_are_told_in_time(world, request):
    world.items(2)
    http, boss = _client(world), _client(world, "boss", "admin")
    held = world.claim()
    world.user("bob")
    set_password(world.database, "bob", PASSWORD)
    world.clock.advance(seconds=120)  # so long that it would be noted that the session was seen
    request.getfixturevalue("stopped")
    began = time.monotonic()
    for path in ("/mine", "/guidelines", f"/static/{boss.app.state.site.build}/css/base.css"):
        assert http.get(path).status_code == 200
    assert boss.get("/items").status_code == 200
    assert boss.get("/data/export?format=spanwise").status_code == 200
    assert time.monotonic() - began < 4.5
    began = time.monotonic()
    answer = _draft(http, held)
    assert time.monotonic() - began < 4.5
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "try again" in answer.json()["detail"]
    began = time.monotonic()
    for _ in range(5):
        assert _draft(http, held).status_code == 503
    assert time.monotonic() - began < 5 * PATIENCE / 2  # where one waited in vain, the next need not
    bob = TestClient(http.app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    answer = bob.post("/login", data={"name": "bob", "password": PASSWORD, "next": "/mine"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/mine")
    assert bob.get("/mine").status_code == 200
    assert http.post("/api/v1/claims", json={}).json()["claim"]["item_id"] == held.item_id  # it is there to be read


def test_whoever_waits_too_long_is_told_so_and_asks_again(world, monkeypatch):
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 0.2)
    world.items(1)
    http, held = _client(world), world.claim()
    going_on, real = threading.Event(), world.database.write

    def write(*args, **more):
        assert going_on.wait(60)
        return real(*args, **more)

    monkeypatch.setattr(world.database, "write", write)
    asked = [_draft(http, held, save_id="save-0001"), http.post("/api/v1/claims", json={})]
    assert [(one.status_code, one.headers["retry-after"]) for one in asked] == [(503, "2")] * 2
    assert "try again" in asked[0].json()["detail"]
    going_on.set()
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 60)
    answer = _draft(http, held, save_id="save-0001")  # whether or not the first one came through meanwhile
    assert (answer.status_code, answer.json()["rev"]) == (200, 1)


def test_what_takes_its_time_by_nature_is_not_cut_short():
    prompt = {(one.method, one.path) for one in ENDPOINTS if one.is_prompt}
    assert {("POST", "/api/v1/claims"), ("PUT", "/api/v1/items/{item_id}/draft"), ("POST", "/api/v1/session")} <= prompt
    assert {("PUT", "/api/v1/items/{item_id}/verdict/draft"), ("GET", "/work"), ("GET", "/healthz")} <= prompt
    slow = {("GET", "/api/v1/export"), ("POST", "/data/import"), ("GET", "/api/v1/agreement"), ("GET", "/quality")}
    assert not prompt & (slow | {("POST", "/api/v1/changes"), ("POST", "/login/once")})


def test_when_the_writer_goes_on_so_does_everybody(world, stopped):
    world.database.patience = 0.3
    with pytest.raises(BusyError, match="try again"):
        world.items(1)
    stopped.kill()
    stopped.wait()
    world.database.patience = 5
    world.database._stuck = False
    assert len(world.items(1)) == 1
    world.claim()


def test_waiting_in_vain_leaves_the_turn_to_the_others(tmp_path):
    """Who gave up gets the turn later, unasked, and hands it on."""
    one, two = Turn(tmp_path / "turn"), Turn(tmp_path / "turn")
    assert one.take(1)
    assert not two.take(0.1)
    assert not two.take(0.1)
    one.give_back()
    time.sleep(0.2)
    assert one.take(1)
    one.give_back()
    assert two.take(1)
    assert not one.take(0.05)
    two.give_back()
    assert one.take(2)
    one.give_back()
    one.close()
    two.close()


def test_ctrl_z_waits_until_the_turn_is_over(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from spanwise.annotate.store.database import Database\n"
        "base = Database(sys.argv[1])\n"
        "with base.write():\n"
        "    os.kill(os.getpid(), signal.SIGTSTP)\n"
        "    time.sleep(0.2)\n"
        "    print('written', flush=True)\n"
        "print('went on', flush=True)\n"
    )
    url = sqlite_url(tmp_path / "a.db")
    process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True, process_group=0)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "written"
    other = Database(url)
    with other.write():
        pass  # it is stopped by now, and holds nothing
    other.close()
    os.kill(process.pid, signal.SIGCONT)
    assert process.stdout.readline().strip() == "went on"
    assert process.wait(60) == 0
    process.stdout.close()


def test_a_full_disk_locks_nobody_out_and_exports_go_on(world, monkeypatch):
    if world.database.dialect != "sqlite":
        pytest.skip("a full disk is played with a pragma of SQLite")
    world.items(3)
    world.submit("bob", world.claim("bob"))
    held = world.claim()
    http = _client(world)
    for name, role in (("cleo", "annotator"), ("boss", "admin")):
        world.user(name, role)
        set_password(world.database, name, PASSWORD)
    with world.database.write() as connection:  # fill the pages that are there, so that nothing fits any more
        connection.exec_driver_sql("CREATE TABLE ballast (x BLOB)")
    _fill(world.database)

    def pour() -> None:
        while True:
            with world.database.write() as connection:
                connection.exec_driver_sql("INSERT INTO ballast VALUES (randomblob(700))")

    with pytest.raises(StorageError, match="disk is full"):
        pour()
    assert _draft(http, held).status_code == 507
    fresh = TestClient(http.app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    for _ in range(2):
        answer = fresh.post("/login", data={"name": "boss", "password": PASSWORD, "next": "/overview"})
        assert answer.status_code == 303
    assert fresh.get("/overview").status_code == 200
    assert fresh.get("/items").status_code == 200

    def no_room():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory")

    monkeypatch.setattr("tempfile.gettempdir", no_room)  # nor is there room for the export's file
    answer = fresh.get("/data/export?format=spanwise")
    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == 1
    assert http.post("/api/v1/claims", json={}).json()["claim"]["lease_token"] == held.lease_token
    wrong = TestClient(http.app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    tries = [wrong.post("/login", data={"name": "cleo", "password": "no"}).status_code for _ in range(7)]
    assert tries[0] == 401
    assert tries[-1] == 429  # guessing is slowed down all the same
    assert fresh.post("/logout").status_code == 303
    assert fresh.get("/overview").status_code == 303


def test_what_a_full_disk_put_off_is_written_when_there_is_room(world):
    if world.database.dialect != "sqlite":
        pytest.skip("a full disk is played with a pragma of SQLite")
    world.items(1)
    world.user()
    set_password(world.database, "ann", PASSWORD)
    app = create_app(world.database, world.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
    full = world.database._turns

    def refuse(_: float):
        raise BusyError("The database is busy.")

    world.database._turns = refuse
    assert http.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 303
    assert http.get("/work").status_code == 200
    world.database._turns = full
    world.claim()
    with world.database.read() as connection:
        assert connection.execute(tables.session.select()).mappings().one()["user_id"] == world.user().id
    assert http.get("/work").status_code == 200
    assert http.post("/logout").status_code == 303
    assert http.get("/work").status_code == 303


def test_a_save_whose_answer_was_lost_is_known_again_by_its_id(world):
    world.items(1)
    held = world.claim()
    http = _client(world)
    first = _draft(http, held, {"n": 1}, save_id="11111111-aaaa")
    assert first.json()["rev"] == 1
    # the answer is lost; the page sends the same save again, though its text reads otherwise by now
    again = _draft(http, held, {"n": 1.0, "m": None}, save_id="11111111-aaaa")
    assert (again.status_code, again.json()["rev"]) == (200, 1)
    second = _draft(http, held, {"n": 2}, save_id="22222222-bbbb", base_rev=1)
    assert second.json()["rev"] == 2
    late = _draft(http, held, {"n": 1}, save_id="11111111-aaaa")  # an old copy that hung in the network
    assert late.status_code == 409
    assert late.json()["current"]["document"] == {"n": 2}
    assert late.json()["current"]["save_id"] == "22222222-bbbb"


def test_one_logs_in_again_within_the_page(world):
    world.items(1)
    held = world.claim()
    set_password(world.database, "ann", PASSWORD)
    http = _client(world)
    assert http.get("/api/v1/session").json()["user_id"] == world.user().id
    world.clock.advance(hours=13)
    assert _draft(http, held, {"n": 1}).status_code == 401
    assert http.get("/api/v1/session").status_code == 401
    assert http.post("/api/v1/session", json={"name": "ann", "password": "wrong"}).status_code == 401
    answer = http.post("/api/v1/session", json={"name": "ann", "password": PASSWORD})
    assert (answer.status_code, answer.json()["user_id"]) == (200, world.user().id)
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert _draft(http, held, {"n": 1}).json()["lease"] == "held"


def test_two_projects_on_one_host_do_not_log_each_other_out(tmp_path):
    made = [open_project(tmp_path / name, preset_name="toxicity") for name in ("a", "b")]
    names = [create_app(*one).state.site.cookie.name for one in made]
    for database, _ in made:
        database.close()
    assert len(set(names)) == 2


def test_a_body_that_is_too_large_is_refused_before_anybody_reads_it(world, monkeypatch):
    world.items(1)
    held = world.claim()
    http = _client(world)
    monkeypatch.setattr(strict_json, "parse", lambda *_: pytest.fail("it was parsed"))
    assert _draft(http, held, {"text": "x" * 9_000_000}).status_code == 413


def test_a_large_body_is_read_in_a_thread_and_holds_nobody_up(world, monkeypatch):
    world.items(1)
    held = world.claim()
    http = _client(world)
    seen = []
    whole = strict_json.parse

    def parse(text: str):
        seen.append(threading.current_thread().name)
        return whole(text)

    monkeypatch.setattr(strict_json, "parse", parse)
    assert _draft(http, held, {"text": "x" * 200_000}).status_code == 200
    assert seen
    assert all("AnyIO worker" in name for name in seen)


def test_the_server_says_how_it_is(world):
    http = _client(world, "boss", "admin")
    fresh = TestClient(http.app, base_url="http://127.0.0.1:8000")
    assert fresh.get("/healthz").json() == {"status": "ok", "detail": ""}
    world.items(2)
    world.submit("ann", world.claim())
    assert http.get("/items").status_code == 200
    assert fresh.get("/api/v1/metrics").status_code == 401
    text = http.get("/api/v1/metrics").text
    assert 'spanwise_slots{state="open"} 1.0' in text
    assert 'spanwise_request_seconds_count{method="GET",path="/items",status="200"} 1.0' in text

    def away():
        raise BusyError("The database does not answer.")

    world.database.read = away
    answer = fresh.get("/healthz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "The database does not answer.")


def test_a_line_per_request_says_who_asked_for_what_and_nothing_of_it(world, caplog):
    (item_id,) = world.items(1)
    http = _client(world)
    access.addHandler(caplog.handler)
    access.setLevel(logging.INFO)
    try:
        http.get("/work", params={"secret": "needle"})
        http.get(f"/api/v1/items/{item_id}")
    finally:
        access.removeHandler(caplog.handler)
        access.setLevel(logging.NOTSET)
    rows = [json.loads(record.getMessage()) for record in caplog.records if record.name == access.name]
    assert [(row["path"], row["status"], row["user"]) for row in rows] == [
        ("/work", 200, world.user().id),
        ("/api/v1/items/{item_id}", 403, world.user().id),
    ]
    assert "needle" not in caplog.text
    assert item_id not in caplog.text
