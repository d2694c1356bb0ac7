"""Telling other programs what happened: events of the audit trail, posted to the addresses that the project names.

A thread of the server reads the trail and remembers in a file beside the project how far each address was told; nobody
who saves waits for it, and it writes nothing into the database. What cannot be delivered is tried again, in order, for
as long as it takes. Addresses stand in `project.yaml` alone: no page and no request names one.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import os
import threading
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from spanwise.annotate.store import Database, Project, WebhookConfig, tables
from spanwise.core import ConfigError, SpanwiseError, write_json

log = logging.getLogger(__name__)
SIGNATURE = "x-spanwise-signature"
STATE = "webhooks.json"
_EVERY_S, _LONGEST_PAUSE_S, _TIMEOUT_S = 2.0, 300.0, 10.0
_SETTLED_S = 10.0  # after which no earlier event can appear: transactions are shorter
_AT_ONCE = 100


def signature(secret: str, body: bytes) -> str:
    """What the header says of a body: sha256=, and the HMAC in hex."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Webhooks:
    """Delivers the events of one project to its addresses until it is stopped."""

    def __init__(self, database: Database, project: Project, folder: Path) -> None:
        self._database, self._state = database, folder / STATE
        self._hooks = [(hook, _secret(hook)) for hook in project.config.webhooks]
        self._told = self._begun()
        self._pauses = dict.fromkeys((hook.address for hook, _ in self._hooks), 0.0)
        self._waits = dict(self._pauses)
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Generator[None]:
        """Delivers in a thread of its own during the block; does nothing where the project names no address."""
        thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        if self._hooks:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            if self._hooks:
                thread.join(_TIMEOUT_S + 1)

    def deliver(self) -> int:
        """Posts what is new to every address that does not wait to be tried again; returns how many were taken."""
        taken = 0
        for hook, secret in self._hooks:
            self._waits[hook.address] -= _EVERY_S
            if self._waits[hook.address] > 0:
                continue
            try:
                taken += self._deliver_to(hook, secret)
                self._pauses[hook.address] = 0.0
            except OSError as error:
                pause = min(max(2 * self._pauses[hook.address], _EVERY_S), _LONGEST_PAUSE_S)
                self._pauses[hook.address] = self._waits[hook.address] = pause
                log.warning("webhook %s: %s; tried again in %.0f s", hook.address, error, pause)
        return taken

    def _deliver_to(self, hook: WebhookConfig, secret: str) -> int:
        events, taken = self._new(hook), 0
        for event in events:
            if any(event["kind"].startswith(kind) for kind in hook.events):
                _post(hook.address, secret, event)
                self._tell(hook.address, event["seq"])
                taken += 1
        if events:
            self._tell(hook.address, events[-1]["seq"])
        return taken

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self.deliver()
            except SpanwiseError as error:  # the database does not answer; it is asked again
                log.warning("webhooks: %s", error)

    def _begun(self) -> dict[str, int]:
        """How far each address was told; a new one is told of what happens from now on."""
        known: dict[str, int] = json.loads(self._state.read_text()) if self._state.exists() else {}
        with self._database.read() as connection:
            last = connection.execute(select(func.max(tables.event.c.seq))).scalar_one() or 0
        return {hook.address: known.get(hook.address, last) for hook, _ in self._hooks}

    def _tell(self, url: str, seq: int) -> None:
        self._told[url] = seq
        write_json(self._state, self._told)

    def _new(self, hook: WebhookConfig) -> list[dict[str, Any]]:
        event = tables.event
        settled = event.c.seq > self._told[hook.address], event.c.at <= self._database.later(-_SETTLED_S)
        with self._database.read() as connection:
            rows = connection.execute(select(event).where(*settled).order_by(event.c.seq).limit(_AT_ONCE)).mappings()
            return [dict(row) for row in rows]


def _secret(hook: WebhookConfig) -> str:
    secret = os.environ.get(hook.secret_env, "") if hook.secret_env else ""
    if hook.secret_env and not secret:
        raise ConfigError(f"webhooks: {hook.secret_env} is not set; set it to the secret that {hook.address} knows.")
    return secret


def _post(url: str, secret: str, event: dict[str, Any]) -> None:
    """Raises OSError unless the answer is one of 200 to 299."""
    body = json.dumps({name: event[name] for name in ("seq", "at", "kind", "subject", "user_id", "data")}).encode()
    headers = {"content-type": "application/json"} | ({SIGNATURE: signature(secret, body)} if secret else {})
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
        pass
