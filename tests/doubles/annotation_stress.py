"""Annotators whose server is killed, stopped, cut off, out of disk and out of time, and who must lose nothing.

A server in a process of its own, threads that do what the pages do (a save is repeated under its id until it is
answered, and kept on the device until then), and trouble at random moments. Everything that the server acknowledged
must be there in the end; nobody may be told that another tab was faster, since nobody has another tab.
"""

import contextlib
import http.client
import json
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from doubles.annotation_load import config, prepare
from spanwise.annotate.people.logins import set_password
from spanwise.annotate.store import tables
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.project import DESCRIPTION
from spanwise.annotate.store.setup import DATA
from spanwise.annotate.store.upkeep import check
from spanwise.annotate.web.security import SessionCookie

PASSWORD = "correct horse"
LONGEST = 5.0
"""Seconds within which every request of a server that runs must be answered."""
SERVER = """
import sys
from datetime import timedelta
from pathlib import Path
import uvicorn
from spanwise.annotate.store.database import utc_now
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
folder, url, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
base, project = open_project(folder, url=url)
base.clock = lambda: utc_now() + timedelta(seconds=float((folder / "clock").read_text() or 0))
uvicorn.run(create_app(base, project), host="127.0.0.1", port=port, log_level="critical")
"""
HOLDER = """
import sys, time
from spanwise.annotate.store.database import Database
with Database(sys.argv[1]).write("held"):
    print("held", flush=True)
    time.sleep(60)
"""


@dataclass
class Told:
    """What the server acknowledged, and what went wrong."""

    saves: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By user and item: the last revision, and the number of its words."""
    submissions: dict[str, str] = field(default_factory=dict)
    """Comment by submission id."""
    conflicts: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    troubles: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    """Saves, each revision counted."""
    cut_off: int = 0
    """Requests whose connection was lost, or whose browser died, before the answer came."""
    refused: int = 0
    slowest: float = 0.0


@dataclass
class Outcome:
    """What must be 0, and how much was done."""

    lost: int
    conflicts: list[str]
    late: list[str]
    wrong: list[str]
    sound: bool
    saves: int
    submissions: int
    cut_off: int
    troubles: dict[str, int]
    slowest: float


class Served:
    """A server that can be killed, stopped and begun again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.up = threading.Event()
        """Set while the server runs and is not stopped."""
        self.since = 0.0
        (folder / "clock").write_text("0")
        self.begin()

    def begin(self) -> None:
        command = [sys.executable, "-c", SERVER, str(self.folder), self.url, str(self.port)]
        self.process = subprocess.Popen(command)
        for _ in range(6000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                break
            assert self.process.poll() is None, "the server does not begin"
            time.sleep(0.05)
        self.since = time.monotonic()
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        self.process.kill()
        self.process.wait()
        self.begin()

    def pause(self, seconds: float) -> None:
        self.up.clear()
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)
        self.since = time.monotonic()
        self.up.set()

    def fill(self, seconds: float) -> None:
        """No file of the server grows: its disk is full."""
        size = max(path.stat().st_size for path in self.folder.glob(f"{DATA}*"))
        before = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (min(size, 65_536), before[1]))
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, before)

    def hold(self, seconds: float) -> None:
        """Somebody else's process has begun to write, and is stopped."""
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, self.url], stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        holder.kill()
        holder.wait()
        holder.stdout.close()

    def jump(self, seconds: float) -> None:
        (self.folder / "clock").write_text(str(seconds))

    def end(self) -> None:
        self.up.clear()
        self.process.kill()
        self.process.wait()


class Annotator:
    """One person with one page, who saves, submits and logs in again, and whose browser may die."""

    def __init__(self, number: int, server: Served, cookie: str, told: Told, stop: threading.Event) -> None:
        self.name, self.server, self.told, self.stop = f"p{number}", server, told, stop
        self.cookie, self.token = cookie, ""
        self.random = random.Random(number)
        self.words = 0
        self.sent: dict[str, Any] | None = None  # what the device keeps while it has no answer
        self.lease: dict[str, Any] | None = None
        self.rev = 0

    def work(self) -> None:
        while not self.stop.is_set():
            try:
                self._item()
            except (KeyError, TypeError, ValueError, AttributeError) as error:  # an answer of a wrong shape
                self.told.wrong.append(f"{self.name}: {type(error).__name__}: {error}")
                return

    def _item(self) -> None:
        work = self._insist("POST", "/api/v1/claims", dict)
        claim = work and work["claim"]
        if not claim:
            self.stop.wait(0.5)
            return
        self.lease = {name: claim[name] for name in ("round", "lease_token")}
        self.rev, item = (claim["draft"] or {"rev": 0})["rev"], claim["item_id"]
        for _ in range(self.random.randint(1, 4)):
            self._save(item)
        comment = f"{self.name} {uuid.uuid4()}"
        said = {"client_submission_id": str(uuid.uuid4()), "active_ms": 1}
        body = self.lease | said | {"body": {"no_errors": ["r1"], "comment": comment}}
        if self._insist("POST", f"/api/v1/items/{item}/submissions", lambda: body):
            self.told.submissions[said["client_submission_id"]] = comment

    def _save(self, item: str) -> None:
        self.words += 1
        document = {"body": {}, "words": self.words}
        self.sent = {"save_id": str(uuid.uuid4()), "base_rev": self.rev, "document": document}
        answer = self._insist("PUT", f"/api/v1/items/{item}/draft", lambda: {**(self.lease or {}), **(self.sent or {})})
        if answer:
            self.sent, self.rev = None, answer["rev"]
            self.told.saves[self.name, item] = (self.rev, self.words)
            self.told.acknowledged += 1

    def _insist(self, method: str, path: str, body: Callable[[], Any]) -> dict[str, Any] | None:
        """Asks until there is an answer that means something; None when the server will not have it."""
        while not self.stop.is_set():
            self.stop.wait(self.random.uniform(0, 0.2))
            answer = self._ask(method, path, body())
            if answer is None:
                continue
            status, value = answer
            if status < 300:
                return value
            if status == 401:
                self._log_in()
            elif status == 409 and "current" in value:
                self.told.conflicts.append(f"{self.name}: {value['detail']}")
                return None
            elif status in (503, 507, 429):
                self.told.refused += 1
                self.stop.wait(0.3)
            elif status == 409 or (status == 404 and "never yours" in value["detail"]):
                return None  # the lease is gone, and somebody else has the item
            else:
                self.told.wrong.append(f"{self.name}: {method} {path}: {status} {value}")
                return None
        return None

    def _log_in(self) -> None:
        answer = self._ask("POST", "/api/v1/session", {"name": self.name, "password": PASSWORD})
        if answer is not None and answer[0] >= 300:
            self.stop.wait(1)

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """One request; None when its answer was lost, on purpose or by trouble."""
        began = time.monotonic()
        link = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=LONGEST)
        headers = {"content-type": "application/json", "cookie": f"{self.cookie}={self.token}"}
        try:
            link.request(method, path, json.dumps(body), headers)
            if self.random.random() < 0.05:
                self.told.cut_off += 1
                return None
            response = link.getresponse()
            text = response.read()
            if cookie := response.getheader("set-cookie"):
                self.token = cookie.split(";")[0].partition("=")[2]
            waited = time.monotonic() - began
            if self.server.up.is_set() and began > self.server.since:
                self.told.slowest = max(self.told.slowest, waited)
            return response.status, json.loads(text) if text else {}
        except TimeoutError:
            if self.server.up.is_set() and began > self.server.since:
                self.told.late.append(f"{self.name}: {method} {path} had no answer in {LONGEST:.0f} s")
            return None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()


def stress(folder: Path, *, url: str = "", people: int = 20, troubles: int = 100, seed: int = 0) -> Outcome:
    """Lets `people` work while `troubles` befall them, one after the other."""
    url = url or sqlite_url(folder / DATA)
    config().save(folder / DESCRIPTION)
    prepare(url, people=people, items=400, overlap=3)
    cookie = _passwords(url, people)
    server, told, stop = Served(folder, url), Told(), threading.Event()
    crowd = [Annotator(number, server, cookie, told, stop) for number in range(people)]
    threads = [threading.Thread(target=person.work) for person in crowd]
    for thread in threads:
        thread.start()
    chance = random.Random(seed)
    try:
        for trouble in _troubles(server, chance, troubles):
            time.sleep(chance.uniform(0.3, 1.2))
            told.troubles[trouble.__name__] = told.troubles.get(trouble.__name__, 0) + 1
            trouble()
        server.jump(0)
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        server.end()
    return _outcome(url, told)


def _troubles(server: Served, chance: random.Random, count: int) -> Iterator[Callable[[], None]]:
    """As many kills as all the rest together."""

    def killed() -> None:
        server.kill()

    def stopped() -> None:
        server.pause(chance.uniform(0.2, 2))

    def full() -> None:
        server.fill(chance.uniform(0.5, 1.5))

    def held() -> None:
        server.hold(chance.uniform(3, 6))

    def jumped() -> None:
        server.jump(chance.choice([-259_200, -7_200, -600, 600, 7_200, 72_000, 259_200]))

    others = [stopped, held, jumped, *([full] if server.url.startswith("sqlite") else [])]
    for number in range(count):
        yield killed if number % 2 == 0 else others[number // 2 % len(others)]


def _passwords(url: str, people: int) -> str:
    """Gives all the same password, hashed once; returns the name of the project's cookie."""
    database = Database(url)
    set_password(database, "p0", PASSWORD)
    user = tables.user
    with database.write() as connection:
        hashed = connection.execute(select(user.c.password_hash).where(user.c.name == "p0")).scalar_one()
        connection.execute(update(user).values(password_hash=hashed))
        project_id = connection.execute(select(tables.project.c.id)).scalar_one()
    database.close()
    assert people
    return SessionCookie(https=False, project_id=project_id).name


def _outcome(url: str, told: Told) -> Outcome:
    database = Database(url)
    draft, user, annotation = tables.draft, tables.user, tables.annotation
    with database.read() as connection:
        joined = select(user.c.name, draft.c.item_id, draft.c.rev, draft.c.document)
        rows = connection.execute(joined.join(user, user.c.id == draft.c.user_id)).all()
        said = dict(connection.execute(select(annotation.c.client_submission_id, annotation.c.comment)).all())
    there = {(row.name, row.item_id): (row.rev, row.document["words"]) for row in rows}
    lost = sum(not _reaches(there.get(key), saved) for key, saved in told.saves.items())
    lost += sum(said.get(key) != comment for key, comment in told.submissions.items())
    report = check(database)
    database.close()
    return Outcome(
        lost=lost,
        conflicts=told.conflicts,
        late=told.late,
        wrong=told.wrong,
        sound=report.ok,
        saves=told.acknowledged,
        submissions=len(told.submissions),
        cut_off=told.cut_off,
        troubles=told.troubles,
        slowest=told.slowest,
    )


def _reaches(there: tuple[int, int] | None, saved: tuple[int, int]) -> bool:
    """A save whose answer was lost may have come on top."""
    return there is not None and there[0] >= saved[0] and there[1] >= saved[1]
