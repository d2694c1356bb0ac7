"""What the server writes down: nothing that lets anybody in, and nothing that people wrote."""

import http.client
import json
import logging
import os
import re
import subprocess
import sys
from urllib.parse import urlencode

import pytest
from doubles.annotation_load import BODY
from sqlalchemy import event, insert
from sqlalchemy.exc import SQLAlchemyError
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session, set_password
from spanwise.annotate.people.tokens import create_token
from spanwise.annotate.people.users import create_user, local_user
from spanwise.annotate.store import tables
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.feedback.schema import FeedbackRecord, Response

SERVE = "from pathlib import Path; from spanwise.cli.annotate_serve import serve; serve(Path({!r}), port=0)"
PASSWORD = "a password of nobody else"
TEXT = "Words that only this item holds."
TYPED = "a comment that somebody typed"


def _project(folder):
    """A project with one item, somebody with a password, and a token."""
    database, project = open_project(folder, preset_name="toxicity")
    record = FeedbackRecord(id="one", prompt=TEXT, responses=(Response(text=TEXT),))
    with database.write() as connection:
        add_items(connection, project, [NewItem(record, "one", {}, "normal", 0.0, 1)], batch_id=None)
    create_user(database, "ann")
    set_password(database, "ann", PASSWORD)
    return database, project


def _use(send, secrets: list[str]) -> None:
    """Logs in, wrongly and rightly, works, and asks for what is not there; notes every secret that was sent.

    `send(method, path, body, headers)` returns status, headers and text.
    """
    form = {"content-type": "application/x-www-form-urlencoded"}
    send("GET", "/login/once?key=guess-of-a-key", "", {})
    send("POST", "/login", urlencode({"name": "ann", "password": "wrong " + PASSWORD}), form)
    status, headers, _ = send("POST", "/login", urlencode({"name": "ann", "password": PASSWORD}), form)
    assert status == 303
    cookie = re.match(r"[^;]*", headers["set-cookie"])[0]
    secrets += ["guess-of-a-key", PASSWORD, cookie.split("=")[1], TEXT, TYPED]
    inside = {"cookie": cookie, "content-type": "application/json"}
    _, _, text = send("POST", "/api/v1/claims", "{}", inside)
    work = json.loads(text)
    lease = {"round": work["claim"]["round"], "lease_token": work["claim"]["lease_token"]}
    secrets.append(lease["lease_token"])
    path = f"/api/v1/items/{work['item']['id']}"
    body = BODY | {"comment": TYPED}
    send("PUT", f"{path}/draft", json.dumps(lease | {"base_rev": 0, "document": {"body": body}}), inside)
    send("PUT", f"{path}/draft", json.dumps({"document": TYPED}), inside)
    sent = lease | {"client_submission_id": "an-id-of-mine", "body": body, "active_ms": 5}
    assert send("POST", f"{path}/submissions", json.dumps(sent), inside)[0] == 200
    send("GET", f"/items?q={TYPED.replace(' ', '+')}", "", inside)
    send("GET", "/nothing?token=" + cookie.split("=")[1], "", inside)


def test_a_server_prints_its_one_address_and_no_secret(tmp_path):
    database, _ = _project(tmp_path)
    database.close()
    command = [sys.executable, "-u", "-c", SERVE.format(str(tmp_path))]
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    secrets: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        try:
            printed = ""
            while not (found := re.search(r"http://([\d.]+):(\d+)", printed)):
                line = run.stdout.readline()
                assert line, printed
                printed += line

            def send(method, path, body, headers):
                connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=120)
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
                connection.close()
                return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

            _use(send, secrets)
        finally:
            run.terminate()
            printed += run.stdout.read()
    assert not [secret for secret in secrets if secret in printed], printed


def test_the_app_logs_no_secret_even_where_every_statement_is_logged(tmp_path, caplog):
    database, project = _project(tmp_path)
    app = create_app(database, project)
    secrets = [create_token(database, local_user(database), name="ci", scopes=("read",)).secret]
    with caplog.at_level(logging.DEBUG, logger="spanwise"), caplog.at_level(logging.INFO, logger="sqlalchemy.engine"):

        def send(method, path, body, headers):
            http = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)
            answer = http.request(method, path, content=body, headers=headers)
            return answer.status_code, answer.headers, answer.text

        _use(send, secrets)
        send("GET", "/api/v1/items", "", {"authorization": f"Bearer {secrets[0]}"})
    database.close()
    assert not [secret for secret in secrets if secret in caplog.text]


def test_an_error_of_ours_is_logged_without_what_was_stored(tmp_path, caplog, monkeypatch):
    database, project = _project(tmp_path)
    app = create_app(database, project)

    def fail(*_, **__):
        with database.write() as connection:
            connection.execute(insert(tables.text).values(sha256=None, content=TYPED))

    monkeypatch.setattr("spanwise.annotate.web.routes.work.claim", fail)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    http.cookies.set(http.app.state.site.cookie.name, new_session(database, local_user(database)).token)
    answer = http.post("/api/v1/claims", json={})
    database.close()
    assert answer.status_code == 500
    assert "INSERT" not in answer.text
    assert "INSERT INTO text" in caplog.text  # with a traceback, for whoever mends it
    assert TYPED not in caplog.text


def test_no_input_becomes_a_part_of_a_statement(tmp_path):
    database, project = _project(tmp_path)
    http = TestClient(create_app(database, project), base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    http.cookies.set(http.app.state.site.cookie.name, new_session(database, local_user(database)).token)
    said = []
    event.listen(database.engine, "before_cursor_execute", lambda c, cursor, statement, *_: said.append(statement))
    for bad in ("needle'--", 'needle" OR "1"="1', "needle%_\\", "needle; DROP TABLE item"):
        for path in ("/items", "/api/v1/items", "/mine", "/guidelines", "/data/export", "/adjudicate", "/runs"):
            asked = dict.fromkeys(("q", "state", "offset", "limit", "version", "format", "sort", "order"), bad)
            assert http.get(path, params=asked).status_code < 500, path
        http.post("/login", data={"name": bad, "password": bad})
    database.close()
    assert said
    assert not [statement for statement in said if "needle" in statement]


def test_values_stay_out_of_database_errors(tmp_path):
    database, _ = _project(tmp_path)
    with pytest.raises(SQLAlchemyError) as raised, database.write() as connection:
        connection.execute(insert(tables.text).values(sha256=None, content=TYPED))
    database.close()
    assert TYPED not in str(raised.value)
