"""One's own password: changed on a page, with the one before it, and without ending the session that changes it."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session, set_password
from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app

APPS: dict = {}
FIRST, SECOND = "correct horse battery", "staple of another kind"


@pytest.fixture
def database(tmp_path: Path):
    opened, project = open_project(tmp_path, preset_name="qa-feedback")
    APPS[opened] = create_app(opened, project)
    yield opened
    del APPS[opened]
    opened.close()


def browser(database, user=None) -> TestClient:
    client = TestClient(APPS[database], base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    if user is not None:
        name, token = APPS[database].state.site.cookie.name, new_session(database, user).token
        client.cookies.set(name, token, domain="127.0.0.1", path="/")
    return client


def test_a_password_is_changed_with_the_one_before_it(database) -> None:
    user = create_user(database, "ann")
    set_password(database, "ann", FIRST)
    here, there = browser(database, user), browser(database, user)
    wrong = here.post("/settings/password", data={"current": "not this one", "fresh": SECOND})
    assert wrong.status_code == 400
    assert "nothing was changed" in wrong.text
    short = here.post("/settings/password", data={"current": FIRST, "fresh": "short"})
    assert (short.status_code, "characters" in short.text) == (400, True)
    done = here.post("/settings/password", data={"current": FIRST, "fresh": SECOND})
    assert (done.status_code, "is changed" in done.text) == (200, True)
    assert here.get("/settings", follow_redirects=False).status_code == 200  # this browser goes on
    assert there.get("/settings", follow_redirects=False).status_code == 303  # all others do not
    answers = [
        browser(database).post("/api/v1/session", json={"name": "ann", "password": password}).status_code
        for password in (SECOND, FIRST)
    ]
    assert answers == [200, 401]


def test_who_has_no_password_sets_one(database) -> None:
    here = browser(database, create_user(database, "ben"))
    assert "Password so far" not in here.get("/settings").text
    assert here.post("/settings/password", data={"fresh": FIRST}).status_code == 200
    assert browser(database).post("/api/v1/session", json={"name": "ben", "password": FIRST}).status_code == 200


def test_a_session_within_a_page_is_told_whose_it_is(database) -> None:
    user = create_user(database, "ann")
    assert browser(database, user).get("/api/v1/session").json() == {"user_id": user.id}
    assert browser(database).get("/api/v1/session").status_code == 401
