"""Files through the web: uploads with their reports, downloads, pages of every area without a browser."""

import gzip
import json
from pathlib import Path

import pytest
from doubles.feedback import qa_file
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import local_user
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app


@pytest.fixture
def http(tmp_path: Path):
    database, project = open_project(tmp_path, preset_name="qa-feedback")
    client = TestClient(create_app(database, project), base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    client.cookies.set(client.app.state.site.cookie.name, new_session(database, local_user(database)).token)
    yield client
    database.close()


def upload(http: TestClient, text: str, form: str, name: str = "feedback.json"):
    return http.post("/data/import", files={"file": (name, text.encode())}, data={"format": form, "unit": "auto"})


def test_a_line_that_cannot_be_used_is_listed_and_the_others_are_imported(http) -> None:
    good = json.dumps({"id": "one", "prompt": "Why?", "responses": [{"text": "Because."}]})
    answer = upload(http, f"{good}\n{{broken\n", "spanwise", "x/../<b>.jsonl")
    assert answer.status_code == 200
    assert "1 items" in answer.text
    assert "1 refused" in answer.text
    assert "Line 2" in answer.text
    assert http.get("/api/v1/items").json()["total"] == 1
    assert "<b>" not in http.get("/data").text


def test_what_is_exported_is_what_was_imported(http) -> None:
    record = {
        "id": "one",
        "prompt": "Why?",
        "responses": [
            {
                "text": "It is \U0001f600 so.",
                "marked": True,
                "spans": [{"start": 6, "end": 7, "quote": "\U0001f600", "category": "Incoherent"}],
                "correction": "It is so.",
            },
            {"text": "So."},
        ],
        "preferences": [{"first": 0, "second": 1, "winner": "second"}],
        "annotator": "ann",
    }
    assert upload(http, json.dumps(record), "spanwise", "one.jsonl").status_code == 200
    answer = http.get("/data/export", params={"format": "spanwise"})
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    line = json.loads(answer.text.splitlines()[0])
    text = json.dumps(line, ensure_ascii=False)
    assert '"quote": "\U0001f600"' in text
    assert "It is so." in text


@pytest.mark.parametrize("count", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_real_feedback_goes_through_the_web_unchanged(count, http) -> None:
    with gzip.open(qa_file("dev_feedback.json.gz")) as stream:
        items = json.load(stream)[:count]
    assert f"{count:,} items" in upload(http, json.dumps(items), "qa-feedback").text
    assert http.get("/data/export", params={"format": "qa-feedback"}).json() == items


UNREAD = {
    "id": 1,
    "data": {"text": "In Lund."},
    "annotations": [
        {
            "completed_by": 1,
            "was_cancelled": False,
            "result": [{"from_name": "q", "to_name": "text", "type": "choices", "value": {"choices": ["x"]}}],
        }
    ],
}


def test_a_file_with_feedback_that_is_not_read_is_imported_only_where_that_is_allowed(http) -> None:
    answer = upload(http, json.dumps([UNREAD]), "label-studio")
    assert "Nothing was imported: the file holds feedback that is not read" in answer.text
    assert "1 choices not read" in answer.text
    assert http.get("/api/v1/items").json()["total"] == 0
    data = {"format": "label-studio", "unit": "auto", "allow_loss": "yes"}
    answer = http.post("/data/import", files={"file": ("f.json", json.dumps([UNREAD]).encode())}, data=data)
    assert "1 items" in answer.text
    assert http.get("/api/v1/items").json()["total"] == 1


def test_an_empty_file_is_no_import(http) -> None:
    assert "holds no records" in upload(http, "", "spanwise").text


def test_an_unknown_export_format_is_refused_in_a_sentence(http) -> None:
    answer = http.get("/data/export", params={"format": "../../etc"})
    assert answer.status_code == 400
    assert "No export is called" in answer.text


def test_an_upload_without_a_file_is_refused_in_a_sentence(http) -> None:
    assert "Choose a file" in http.post("/data/import", data={"format": "spanwise"}).text


def test_every_page_of_the_menu_opens(http) -> None:
    pages = [
        "overview",
        "items",
        "adjudicate",
        "data",
        "runs",
        "people",
        "tokens",
        "mine",
        "guidelines",
        "settings",
        "work",
    ]
    for path in (*(f"/{page}" for page in pages), "/items?state=open&q=%27%22&offset=x"):
        answer = http.get(path)
        assert answer.status_code == 200, path
        assert "<h1" in answer.text
    assert http.get("/guidelines?version=99").status_code == 404
    assert http.get("/nothing").status_code == 404


def test_people_get_an_address_that_is_shown_once(http) -> None:
    answer = http.post("/people", data={"name": "ann", "role": "annotator"})
    assert "/login/once?key=" in answer.text
    assert "/login/once?key=" not in http.get("/people").text
    assert "ann" in http.get("/people").text
    token = http.post("/tokens", data={"name": "mine", "scopes": ["read"], "days": "5"})
    assert "shown again" in token.text
