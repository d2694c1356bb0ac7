"""What the guard and the endpoints refuse: other sites, other names, missing rights, oversized and odd requests."""

import json
import re
import tomllib
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from spanwise.annotate.people.logins import new_session, one_time_login, set_password
from spanwise.annotate.people.tokens import create_token
from spanwise.annotate.people.users import ROLES, create_user, local_user, may
from spanwise.annotate.store.audit import history
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import STATIC, create_app
from spanwise.annotate.web.routes import ENDPOINTS
from spanwise.annotate.web.security import LARGEST_BODY, POLICY, local_path, page_json
from spanwise.cli import app as command_line
from spanwise.feedback.schema import FeedbackRecord, Response

PASSWORD = "correct horse battery"


NUMBERS = count()


@contextmanager
def opened(folder: Path):
    """The app's shared parts, with a few items in the project."""
    database, project = open_project(folder, preset_name="qa-feedback")
    record = FeedbackRecord(
        id="one", prompt="Why?", responses=(Response(text="Because."), Response(text="So.", model="m"))
    )
    new = [
        NewItem(record=record, ext_id=f"item-{number}", meta={}, purpose="normal", priority=0.0, overlap=1)
        for number in range(5)
    ]
    with database.write() as connection:
        add_items(connection, project, new, batch_id=None)
    yield create_app(database, project, runs=folder).state.site
    database.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One database for all tests of this file; each makes its own users."""
    with opened(tmp_path_factory.mktemp("project")) as site:
        yield site


def client(site, role: str | None = None, **more) -> TestClient:
    """A client on this machine, logged in as somebody of `role`."""
    app = create_app(site.database, site.project, **more)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, follow_redirects=False)
    if role is not None:
        user = create_user(site.database, f"{role}-{next(NUMBERS)}", role=role)
        http.cookies.set(http.app.state.site.cookie.name, new_session(site.database, user).token)
    return http


def filled(path: str) -> str:
    """A path with something in each of its places."""
    return re.sub(r"{\w+}", "01ARZ3NDEKTSV4RRFFQ69G5FAV", path)


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "", "[::1", "localhost@evil.test", "user@127.0.0.1.x"]
)
def test_other_host_names_are_not_answered(site, host) -> None:
    assert client(site).get("/login", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:9", "notes.example:1"])
def test_own_host_names_are_answered(site, host) -> None:
    assert client(site, hosts=["notes.example"]).get("/login", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
    ],
)
def test_writes_from_other_sites_are_refused(site, headers) -> None:
    http = client(site, "admin")
    before = history(site.database).total
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET":
            answer = http.request(endpoint.method, filled(endpoint.path), headers=headers)
            assert answer.status_code == 403, endpoint.path
    assert history(site.database).total == before


def test_every_endpoint_asks_for_its_right(site) -> None:
    anonymous = client(site)
    by_role = {role: client(site, role) for role in ROLES}
    for endpoint in ENDPOINTS:
        if endpoint.need == "public" or endpoint.path == "/logout":
            continue
        body = {"json": {}} if endpoint.takes else {}
        answer = anonymous.request(endpoint.method, filled(endpoint.path), **body)
        assert answer.status_code == (401 if endpoint.is_api else 303), endpoint.path
        for role, http in by_role.items():
            allowed = endpoint.need == "user" or may(role, endpoint.need)
            status = http.request(endpoint.method, filled(endpoint.path), **body).status_code
            assert (status == 403) == (not allowed), (endpoint.path, role, status)
            assert status != 500, (endpoint.path, role)


def test_reading_never_changes_anything(site) -> None:
    assert {endpoint.method for endpoint in ENDPOINTS} <= {"GET", "POST", "PUT", "DELETE"}
    http = client(site, "admin")
    before = history(site.database).total
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            http.get(filled(endpoint.path))
    assert history(site.database).total == before


def test_tokens_do_only_what_their_scopes_say(site) -> None:
    user = local_user(site.database)
    secret = create_token(site.database, user, name="reader", scopes=("read",)).secret
    http = client(site)
    http.headers["authorization"] = f"Bearer {secret}"
    assert http.get("/api/v1/items").status_code == 200
    assert http.post("/api/v1/claims", json={}).status_code == 403
    assert http.get("/people").status_code == 403
    http.headers["authorization"] = "Bearer wrong"
    assert http.get("/api/v1/items").status_code == 401


def test_headers_stand_on_every_answer(site) -> None:
    http = client(site, "admin")
    for path in ("/login", "/overview", "/nothing", "/api/v1/items", f"/static/{site.build}/css/base.css"):
        answer = http.get(path)
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    assert http.get("/overview").headers["cache-control"] == "no-store"


def test_login_rotates_the_session_and_logout_kills_it(site) -> None:
    user = create_user(site.database, "ann")
    set_password(site.database, "ann", PASSWORD)
    http = client(site)
    http.cookies.set(http.app.state.site.cookie.name, "planted")
    answer = http.post("/login", data={"name": "ann", "password": PASSWORD, "next": "//evil.test"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "planted" not in cookie
    token = http.cookies.get(site.cookie.name, domain="127.0.0.1") or cookie.split("=")[1].split(";")[0]
    fresh = client(site)
    fresh.cookies.set(fresh.app.state.site.cookie.name, token)
    assert fresh.get("/work").status_code == 200
    assert fresh.post("/logout").status_code == 303
    fresh.cookies.set(fresh.app.state.site.cookie.name, token)
    assert fresh.get("/work").status_code == 303
    assert user.role == "annotator"


def test_cookie_is_bound_to_the_host_under_https(site) -> None:
    secret = one_time_login(site.database, local_user(site.database))
    answer = client(site, https=True).post("/login/once", data={"key": secret})
    assert answer.headers["set-cookie"].startswith("__Host-spanwise-")
    assert "Secure" in answer.headers["set-cookie"]


def test_the_one_time_address_works_once_and_only_by_post(site) -> None:
    secret = one_time_login(site.database, local_user(site.database))
    http = client(site)
    assert "set-cookie" not in http.get("/login/once", params={"key": secret}).headers
    assert "set-cookie" in http.post("/login/once", data={"key": secret}).headers
    assert client(site).post("/login/once", data={"key": secret}).status_code in (401, 403)


def test_too_many_wrong_passwords_are_slowed_down(tmp_path) -> None:
    with opened(tmp_path) as site:
        create_user(site.database, "ann")
        set_password(site.database, "ann", PASSWORD)
        http = client(site)
        answers = [http.post("/login", data={"name": "ann", "password": "wrong"}) for _ in range(8)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test",
        "/\\evil.test",
        "\\\\evil",
        "https://evil.test",
        "/%2f/evil/..//evil",
        "javascript:alert(1)",
        "/a\nb",
        "evil",
    ],
)
def test_next_never_leads_away(target) -> None:
    assert local_path(target) == "/"


def test_next_may_be_a_path_with_a_query() -> None:
    assert local_path("/items?state=open&q=a%20b") == "/items?state=open&q=a%20b"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/{build}/../../app.py",
        "/static/{build}/%2e%2e/%2e%2e/web.py",
        "/static/{build}//etc/passwd",
        "/runs/../../etc/passwd",
        "/runs/%2e%2e%2f%2e%2e",
        "/static/{build}/css",
    ],
)
def test_paths_lead_nowhere_else(site, path) -> None:
    answer = client(site, "admin").get(path.format(build=site.build))
    assert answer.status_code in (400, 404, 405)
    assert "import" not in answer.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"item_id": ' + b"9" * 1_000_000 + b"}", "application/json", 400),
        (b'{"item_id": "a", "item_id": "b"}', "application/json", 400),
        (b'{"unknown": 1}', "application/json", 400),
        (b'{"item_id": "\\ud83d"}', "application/json", 400),
    ],
)
def test_odd_bodies_are_refused_in_a_sentence(site, body, kind, status) -> None:
    answer = client(site, "annotator").post("/api/v1/claims", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")
    assert "Traceback" not in answer.text


def test_too_large_a_body_is_refused_unread(site) -> None:
    http = client(site, "admin")
    answer = http.post("/data/import", headers={"content-length": str(LARGEST_BODY + 1)}, content=b"")
    assert answer.status_code == 413


def test_a_page_from_before_an_upgrade_cannot_write(site) -> None:
    http = client(site, "annotator")
    work = http.post("/api/v1/claims", json={}).json()
    lease = {"round": work["claim"]["round"], "lease_token": work["claim"]["lease_token"]}
    path = f"/api/v1/items/{work['item']['id']}/draft"
    draft = lease | {"base_rev": 0, "document": {"body": {}}}
    assert http.put(path, json=draft, headers={"x-spanwise-build": "old"}).status_code == 412
    assert http.put(path, json=draft, headers={"x-spanwise-build": site.build}).status_code == 200
    stale = http.put(path, json=draft | {"document": {"body": {"comment": "x"}}})
    assert stale.status_code == 409
    assert stale.json()["current"]["rev"] == 1


def test_models_and_gold_stay_hidden_from_annotators(site) -> None:
    text = client(site, "annotator").post("/api/v1/claims", json={}).text
    assert '"response_order"' in text
    assert '"model"' not in text
    assert '"kind"' not in text


def test_the_description_of_the_api_is_true() -> None:
    written = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "openapi.json").read_text())
    said = CliRunner().invoke(command_line, ["annotate", "openapi"])
    assert written == json.loads(said.stdout), "run: spanwise annotate openapi --output docs/reference/openapi.json"
    names = [one["operationId"] for path in written["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_vendored_files_are_what_their_list_says() -> None:
    vendor = STATIC / "vendor"
    listed = tomllib.loads((vendor / "vendor.toml").read_text())["file"]
    assert {one["name"] for one in listed} == {path.name for path in vendor.iterdir() if path.suffix in (".js", ".css")}
    for one in listed:
        assert sha256((vendor / one["name"]).read_bytes()).hexdigest() == one["sha256"], one["name"]


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.relative_to(STATIC).as_posix())
def test_our_scripts_write_text_and_import_only_our_files(path) -> None:
    if "vendor" in path.parts:
        return
    text = path.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|dangerously", text
    )
    assert all(target.startswith(".") for target in re.findall(r'from "([^"]+)"', text))
    assert not re.search(r"https?://", text)
    assert len(text.splitlines()) <= 400


def test_json_in_a_page_cannot_end_its_script() -> None:
    text = page_json(json.dumps({"a": "</script><!--&\u2028"}, ensure_ascii=False))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028"}
