"""A page of another origin, opened by somebody who is logged in: it can neither write nor look, nor wear our page."""

import functools
import http.server
import threading
from collections.abc import Iterator

import pytest
from browser_server import FAIR
from gestures import becomes, eventually

from spanwise.annotate.people.users import list_users
from spanwise.annotate.store.audit import history
from spanwise.annotate.web.security import Guard

pytestmark = pytest.mark.browser

EVIL = """<!doctype html><title>evil</title>
<form id=people method=post action="{us}/people" target=hole><input name=name value=mallory><input name=role value=admin></form>
<form id=out method=post action="{us}/logout" target=hole2><input name=everywhere value=1></form>
<form id=text method=post enctype=text/plain action="{us}/api/v1/claims" target=hole3><input name='{{"a":"' value='"}}'></form>
<iframe name=hole></iframe><iframe name=hole2></iframe><iframe name=hole3></iframe>
<iframe id=page src="{us}/overview"></iframe>
<img src="{us}/logout"><img src="{us}/people?name=mallory&role=admin"><script src="{us}/api/v1/items"></script>
"""  # noqa: E501 - a page of somebody else

ATTACK = """async us => {
  const told = [];
  const tell = async (name, work) => told.push([name, await work().then(String, error => "refused")]);
  const post = (path, more) => () => fetch(us + path, {method: "POST", credentials: "include", ...more}).then(a => a.status || a.type);
  await tell("json", post("/api/v1/claims", {headers: {"content-type": "application/json"}, body: "{}"}));
  await tell("plain", post("/api/v1/claims", {mode: "no-cors", headers: {"content-type": "text/plain"}, body: "{}"}));
  await tell("form", post("/people", {mode: "no-cors", body: new URLSearchParams({name: "mallory", role: "admin"})}));
  await tell("read", () => fetch(us + "/api/v1/items", {credentials: "include"}).then(a => a.text()));
  await tell("beacon", async () => navigator.sendBeacon(us + "/logout", new URLSearchParams({everywhere: "1"})));
  for (const form of document.forms) form.submit();
  return told;
}"""  # noqa: E501 - a script of somebody else


@pytest.fixture
def evil() -> Iterator:
    """evil(us) -> the address of another origin on this machine, with a page that attacks `us`."""
    servers = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def __init__(self, *args, us: str) -> None:
            self.us = us
            super().__init__(*args)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(EVIL.format(us=self.us).encode())

        def log_message(self, *_: object) -> None:
            pass

    def start(us: str) -> int:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, us=us))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])  # the same site, whose cookies travel; another site
def test_another_origin_neither_writes_nor_reads_nor_frames(serve, chromium, evil, name, monkeypatch) -> None:
    whole, seen = Guard._refuse, []

    def noted(self: Guard, request):
        refused = whole(self, request)
        seen.append((request.method, request.url.path, refused.status_code if refused else None))
        return refused

    monkeypatch.setattr(Guard, "_refuse", noted)
    server = serve()
    server.add(FAIR)
    port = evil(server.url)
    context = chromium.new_context()
    context.set_default_timeout(90_000)
    try:
        context.add_cookies([{"name": server.site.cookie.name, "value": server.session(), "url": server.url}])
        ours = context.new_page()
        ours.goto(server.url + "/overview")
        before = history(server.database).total
        page = context.new_page()
        page.goto(f"http://{name}:{port}/")
        told = dict(page.evaluate(ATTACK, server.url))
        assert told["json"] == told["read"] == "refused"  # by the browser, since we allow no other origin
        assert told["plain"] in ("opaque", "0", "refused")
        wanted = {"/people", "/logout", "/api/v1/claims"}
        eventually(lambda: wanted <= {path for method, path, _ in seen if method == "POST"})
        assert {status for method, _, status in seen if method == "POST"} == {403}
        eventually(lambda: any(frame.url.startswith("chrome-error:") for frame in page.frames))
        assert not [frame.url for frame in page.frames if frame.url.startswith(server.url)]  # nothing of ours in theirs
        assert history(server.database).total == before
        assert [user.name for user in list_users(server.database)] == ["me"]
        ours.reload()
        becomes(lambda: ours.url, server.url + "/overview")  # still logged in
    finally:
        context.close()
