"""Webhooks: what happened reaches other programs, in order, signed, and never in the way of those who work."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from doubles.annotation import World, spans_only

from spanwise.annotate.exchange.webhooks import SIGNATURE, Webhooks, signature
from spanwise.annotate.store.project import WebhookConfig
from spanwise.core.errors import ConfigError


class Receiver:
    """A server that notes what it is told, and answers as it is bidden."""

    def __init__(self) -> None:
        self.told, self.status = [], 200
        noted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                noted.told.append((body, self.headers.get(SIGNATURE)))
                self.send_response(noted.status)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def kinds(self) -> list[str]:
        return [json.loads(body)["kind"] for body, _ in self.told]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def _world(place, receiver, **more) -> World:
    hook = WebhookConfig(address=receiver.url, events=("annotation.", "lease.claimed"), **more)
    return World(place, spans_only(webhooks=(hook,)))


def test_events_reach_an_address_signed_in_order_and_once_more_after_trouble(place, receiver, tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    world = _world(place, receiver, secret_env="HOOK_SECRET")
    world.items(2)
    hooks = Webhooks(world.database, world.project, tmp_path)
    world.submit("ann", world.claim())
    assert hooks.deliver() == 0  # a transaction with an earlier number may still be on its way
    world.clock.advance(seconds=11)
    receiver.status = 500
    assert hooks.deliver() == 0
    assert receiver.kinds() == ["lease.claimed"]
    receiver.status = 200
    hooks.deliver()
    assert receiver.kinds() == ["lease.claimed", "lease.claimed", "annotation.submitted"]
    for body, signed in receiver.told:
        assert signed == signature("s3cret", body)
    world.claim()
    world.clock.advance(seconds=11)
    again = Webhooks(world.database, world.project, tmp_path)  # the server was begun anew
    assert again.deliver() == 1
    assert again.deliver() == 0
    assert len(receiver.told) == 4
    world.close()


def test_an_address_that_is_away_is_asked_ever_less(place, receiver, tmp_path):
    world = _world(place, receiver)
    world.items(1)
    hooks = Webhooks(world.database, world.project, tmp_path)
    world.claim()
    world.clock.advance(seconds=11)
    receiver.status = 503
    for _ in range(31):
        hooks.deliver()
    assert len(receiver.told) == 5  # after 2, 4, 8, 16, ... seconds of two each
    world.close()


def test_a_secret_that_is_not_set_is_said_before_the_server_begins(place, receiver, tmp_path, monkeypatch):
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    world = _world(place, receiver, secret_env="HOOK_SECRET")
    with pytest.raises(ConfigError, match="HOOK_SECRET"):
        Webhooks(world.database, world.project, tmp_path)
    world.close()
