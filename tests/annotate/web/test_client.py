"""The client for programs, against the description of the API and a server that listens."""

import threading
import time

import pytest
import uvicorn
from doubles.annotation import small

from spanwise.annotate.client import OPERATIONS, AnnotationClient, ApiError
from spanwise.annotate.people.tokens import create_token
from spanwise.annotate.people.users import local_user
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.annotate.web.openapi import api_description
from spanwise.core.errors import ConfigError
from spanwise.feedback.formats import load_feedback


@pytest.fixture
def client(tmp_path):
    """Of a project with two items, by a token that may do everything."""
    database, project = open_project(tmp_path, preset_name="toxicity")
    new = [NewItem(small(f"i{n}"), f"i{n}", {}, "normal", 0.0, 1) for n in range(2)]
    with database.write() as connection:
        add_items(connection, project, new, batch_id=None)
    token = create_token(database, local_user(database), name="test", scopes=("admin",)).secret
    server = uvicorn.Server(uvicorn.Config(create_app(database, project), port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield AnnotationClient(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", token)
    server.should_exit = True
    thread.join(20)
    database.close()


def test_the_client_knows_every_operation_that_takes_a_token() -> None:
    described = {
        operation["operationId"]: (method.upper(), path)
        for path, operations in api_description()["paths"].items()
        for method, operation in operations.items()
        if {"token": []} in operation["security"]
    }
    assert described == OPERATIONS


def test_an_item_is_claimed_annotated_and_exported(client, tmp_path) -> None:
    work = client.claim()
    receipt = client.submit(work["claim"], {"no_errors": ["r1", "r2"], "comment": "fine"})
    assert receipt["version"] == 1
    assert client.call("progress")["slots_submitted"] == 1
    assert [row["ext_id"] for row in client.items(state="done")["rows"]] == ["i0"]
    path = client.export(tmp_path / "out.jsonl")
    (record,) = load_feedback(path)
    assert record.id == "i0#me"
    client.call("assign", {"item_ids": [work["item"]["id"]], "names": ["me"]})
    assert client.items(assigned="me")["total"] == 1
    asked = client.call("ask", {"content": "Why?"}, item_id=work["item"]["id"])
    assert client.call("questions", item_id=work["item"]["id"])["rows"][0]["id"] == asked["id"]
    assert client.call("settle", {"settled": True}, thread_id=asked["id"])["settled_at"]


def test_what_the_server_refuses_is_an_error_with_its_sentence(client) -> None:
    with pytest.raises(ApiError, match="no item") as caught:
        client.call("item", item_id="a b")
    assert caught.value.status == 404
    work = client.claim()
    with pytest.raises(ApiError) as caught:
        client.submit(
            work["claim"], {"spans": [{"id": "s", "start": 0, "end": 999, "quote": "x", "category": "toxic"}]}
        )
    assert caught.value.status == 422
    assert caught.value.body["problems"]
    with pytest.raises(ConfigError, match="operation"):
        client.call("fly")
    with pytest.raises(ConfigError, match="address"):
        AnnotationClient("ftp://x", "t")


def test_only_what_does_no_harm_twice_is_asked_again(client, monkeypatch) -> None:
    tries = []

    def away(method: str, address: str, body) -> None:
        tries.append(method)
        raise ApiError(503, {"detail": "busy"})

    monkeypatch.setattr(client, "_answer", away)
    monkeypatch.setattr("spanwise.annotate.client._PAUSE_S", 0.0)
    for operation, body, values, times in (
        ("items", None, {}, 4),
        ("submit", {}, {"item_id": "x"}, 4),
        ("claim", {}, {}, 1),
        ("ask", {}, {"item_id": "x"}, 1),
    ):
        tries.clear()
        with pytest.raises(ApiError, match="busy"):
            client.call(operation, body, **values)
        assert len(tries) == times, operation


def test_a_server_that_is_not_there_is_said_so(monkeypatch) -> None:
    monkeypatch.setattr("spanwise.annotate.client._PAUSE_S", 0.0)
    with pytest.raises(ApiError, match="cannot be reached") as caught:
        AnnotationClient("http://127.0.0.1:9", "t", timeout_s=2).call("items")
    assert caught.value.status == 0
