"""Uploads that want too much: bodies without an end, archives that unpack to far more than they weigh."""

import asyncio
import gzip
import io
import json
import tracemalloc

import pytest
from starlette.testclient import TestClient

from spanwise.annotate.exchange.imports import list_batches
from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import local_user
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.annotate.web.routes import data
from spanwise.annotate.web.routes.data import LARGEST_UNPACKED
from spanwise.annotate.web.security import LARGEST_BODY

CHUNK = 1 << 18
GIGABYTE = 1 << 30
RECORD = {"id": "one", "prompt": "Why?", "responses": [{"text": "Because."}]}


@pytest.fixture
def site(tmp_path):
    database, project = open_project(tmp_path, preset_name="qa-feedback")
    yield create_app(database, project).state.site
    database.close()


def _client(site) -> TestClient:
    app = create_app(site.database, site.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    http.cookies.set(http.app.state.site.cookie.name, new_session(site.database, local_user(site.database)).token)
    return http


def _upload(site, content: bytes, name: str, form: str = "spanwise"):
    files = {"file": (name, content)}
    return _client(site).post("/data/import", files=files, data={"format": form, "unit": "auto"})


def _stream(site, path: str, kind: str, head: bytes, size: int = GIGABYTE) -> tuple[int, int]:
    """Sends `size` bytes in pieces, with no word on how many they will be; returns the status and the bytes taken."""
    token = new_session(site.database, local_user(site.database)).token
    headers = [("host", "127.0.0.1:8000"), ("content-type", kind), ("cookie", f"{site.cookie.name}={token}")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000), "headers": [(name.encode(), value.encode()) for name, value in headers],
    }  # fmt: skip
    taken, answers, piece = 0, [], b"x" * CHUNK

    async def receive():
        nonlocal taken
        body = head if taken == 0 else piece
        taken += len(body)
        return {"type": "http.request", "body": body, "more_body": taken < size}

    async def send(message):
        answers.append(message)

    asyncio.run(create_app(site.database, site.project)(scope, receive, send))
    return answers[0]["status"], taken


@pytest.mark.parametrize(
    ("path", "kind", "head"),
    [
        ("/api/v1/claims", "application/json", b'{"item_id": "'),
        (
            "/data/import",
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="file"; filename="x.jsonl"\r\n\r\n',
        ),
        (
            "/data/import",
            "multipart/form-data; boundary=b",
            b'--b\r\ncontent-disposition: form-data; name="unit"\r\n\r\n',
        ),
        ("/data/take-back", "application/x-www-form-urlencoded", b"batch_id="),
    ],
)
def test_a_gigabyte_is_refused_when_it_has_gone_too_far(site, path, kind, head):
    tracemalloc.start()
    status, taken = _stream(site, path, kind, head)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status in (400, 413)
    assert taken <= LARGEST_BODY + 2 * CHUNK
    assert most < 5 * LARGEST_BODY
    assert list_batches(site.database, site.project) == []


def test_an_archive_is_unpacked_and_imported(site):
    answer = _upload(site, gzip.compress(json.dumps(RECORD).encode()), "../../some.jsonl.gz")
    assert answer.status_code == 200
    assert "1 items" in answer.text


def test_a_bomb_is_refused_before_it_goes_off(site, monkeypatch):
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=9) as stream:
        for _ in range(LARGEST_UNPACKED // CHUNK + 8):
            stream.write(b" " * CHUNK)
    assert len(bomb.getvalue()) < LARGEST_UNPACKED / 500
    monkeypatch.setattr(data, "import_file", lambda *_, **__: pytest.fail("it was imported"))
    tracemalloc.start()
    answer = _upload(site, bomb.getvalue(), "records.jsonl.gz")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert "unpacks to more than" in answer.text
    assert most < LARGEST_UNPACKED / 4


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"x" * 9999)[:-12], b"\x1f\x8b\x08\x00" + b"\xff" * 50]
)
def test_what_is_no_whole_archive_is_refused_in_a_sentence(site, content):
    answer = _upload(site, content, "records.jsonl.gz")
    assert answer.status_code in (200, 400)
    assert "Traceback" not in answer.text
    assert _client(site).get("/api/v1/items").json()["total"] == 0


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 1_000_000, '{"id": "x", "prompt": ' + "[" * 50_000 + "}"])
def test_deep_or_endless_values_are_refused_and_the_others_imported(site, value):
    answer = _upload(site, f"{json.dumps(RECORD)}\n{value}\n".encode(), "records.jsonl")
    assert answer.status_code == 200
    assert "1 items" in answer.text
    assert "1 refused" in answer.text
