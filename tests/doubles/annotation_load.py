"""Annotators under load, as processes of their own: they race for items, save and submit, and are killed meanwhile.

Used by the slow tests and by `benchmarks/annotation_load.py`. The processes are forked off one that has imported
everything already, so that what takes time is their work.
"""

import contextlib
import http.client
import json
import multiprocessing
import random
import re
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from spanwise.annotate.manage.listing import ItemFilter, list_items
from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import create_user, get_user
from spanwise.annotate.rounds.rounds import COMMAND
from spanwise.annotate.store import tables
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.project import DESCRIPTION, ProjectConfig, preset
from spanwise.annotate.store.setup import DATA, register
from spanwise.annotate.store.upkeep import CheckReport, check, upgrade
from spanwise.annotate.web.app import create_app
from spanwise.annotate.work.desk import Lease
from spanwise.annotate.work.drafts import Save, save_draft
from spanwise.annotate.work.overview import progress
from spanwise.annotate.work.queue import Claim, NothingNow, claim, release
from spanwise.annotate.work.submission import Submission, submit
from spanwise.core.errors import SpanwiseError
from spanwise.feedback.schema import FeedbackRecord, Response

BODY = {"no_errors": ["r1"]}


@dataclass
class Race:
    """What came of a race."""

    annotations: int
    over_quota: int
    repeats: int
    errors: list[str]
    seconds: float
    milliseconds: dict[str, list[float]] = field(default_factory=dict)

    def percentile(self, act: str, share: float) -> float:
        times = sorted(self.milliseconds[act])
        return times[min(len(times) - 1, int(share * len(times)))]


@contextlib.contextmanager
def fresh(url: str, folder: Path) -> Generator[str]:
    """The URL of an empty database: a file in `folder`, or a schema of its own in a PostgreSQL database."""
    if not url:
        yield sqlite_url(folder / DATA)
        return
    schema = f"load_{uuid.uuid4().hex}"
    admin = Database(url)
    with admin.write() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{url}?options=-csearch_path%3D{schema}"
    finally:
        with admin.write() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.close()


def config() -> ProjectConfig:
    return preset("qa-feedback").model_copy(update={"tasks": ("spans",)})


def lease_of(held: Claim) -> Lease:
    return Lease(item_id=held.item_id, round=held.round, lease_token=held.lease_token)


def prepare(url: str, *, people: int, items: int, overlap: int) -> None:
    """A migrated database with a project, people p0, p1, ... and items."""
    database = Database(url)
    upgrade(database)
    project = register(database, config())
    for number in range(people):
        create_user(database, f"p{number}")
    records = [
        FeedbackRecord(id=f"i{n}", prompt="?", responses=(Response(text=f"Answer {n} is a sentence of some words."),))
        for n in range(items)
    ]
    new = [NewItem(record, record.id, {}, "normal", 0.0, overlap) for record in records]
    with database.write() as connection:
        for begin in range(0, len(new), 500):
            add_items(connection, project, new[begin : begin + 500], batch_id=None)
    database.close()


def listed(url: str, *, items: int, times: int = 20) -> dict[str, float]:
    """Median milliseconds of what a manager sees of `items` items: a page of the list, one by a search, progress."""
    prepare(url, people=1, items=items, overlap=3)
    database = Database(url)
    project = register(database, config())
    asked = {
        "first page": lambda: list_items(database, project),
        "last page": lambda: list_items(database, project, offset=items - 50),
        "by state": lambda: list_items(database, project, ItemFilter(state="open"), offset=items // 2),
        "by search": lambda: list_items(database, project, ItemFilter(query=f"i{items - 1}")),
        "progress": lambda: progress(database, project),
    }
    found = {}
    for name, ask in asked.items():
        waits = []
        for _ in range(times):
            began = time.perf_counter()
            ask()
            waits.append((time.perf_counter() - began) * 1000)
        found[name] = statistics.median(waits)
    database.close()
    return found


def calm(url: str, *, people: int, items: int, overlap: int, pause: float, saves: int) -> Race:
    """Lets `people` threads of one process work, as the server does; `pause` is the mean time between their acts."""
    prepare(url, people=people, items=items, overlap=overlap)
    database = Database(url)
    project = register(database, config())
    for number in range(people):  # a server that has run for a while has its statements compiled
        held = claim(database, project, get_user(database, f"p{number}"))
        assert not isinstance(held, NothingNow)
        release(database, project, get_user(database, f"p{number}"), lease_of(held))
    with ThreadPoolExecutor(people) as pool:
        start = threading.Barrier(people)
        began = time.monotonic()
        told = list(
            pool.map(lambda number: _annotate(Direct(database, number), number, start, pause, saves), range(people))
        )
    database.close()
    return _counted(url, overlap, told, time.monotonic() - began)


def _processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["spanwise.annotate.work.submission", "spanwise.annotate.store.setup"])
    return context


def race(url: str, *, people: int, items: int, overlap: int, pause: float = 0.0, saves: int = 0) -> Race:
    """Lets `people` processes work until nothing is left, each submit sent twice, and counts what went wrong."""
    prepare(url, people=people, items=items, overlap=overlap)
    context = _processes()
    start = context.Barrier(people + 1)
    results = context.Queue()
    workers = [context.Process(target=_work, args=(url, n, start, results, pause, saves)) for n in range(people)]
    for worker in workers:
        worker.start()
    start.wait(timeout=300)
    began = time.monotonic()
    told = [results.get() for _ in workers]
    seconds = time.monotonic() - began
    for worker in workers:
        worker.join()
    return _counted(url, overlap, told, seconds)


def served(folder: Path, *, people: int, items: int, overlap: int, pause: float, saves: int, url: str = "") -> Race:
    """The same as `calm` through HTTP: a server as users start it, and `people` clients with a connection each."""
    url = url or sqlite_url(folder / DATA)
    config().save(folder / DESCRIPTION)
    prepare(url, people=people, items=items, overlap=overlap)
    database = Database(url)
    name = create_app(database, register(database, config())).state.site.cookie.name
    tokens = [new_session(database, get_user(database, f"p{number}")).token for number in range(people)]
    cookies = [f"{name}={token}" for token in tokens]
    database.close()
    start = threading.Barrier(people)
    with _server(folder, url) as port, ThreadPoolExecutor(people) as pool:
        for cookie in cookies:  # a server that has run for a while has its statements compiled
            warm = Remote(port, cookie)
            warm.release(warm.claim())
        began = time.monotonic()
        told = list(pool.map(lambda n: _annotate(Remote(port, cookies[n]), n, start, pause, saves), range(people)))
        seconds = time.monotonic() - began
    return _counted(url, overlap, told, seconds)


@contextlib.contextmanager
def _server(folder: Path, url: str) -> Generator[int]:
    """`spanwise annotate serve` on a free port."""
    command = [*COMMAND, "annotate", "serve", str(folder), "--port", "0", "--database", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class Direct:
    """One annotator who calls the backend's functions."""

    def __init__(self, database: Database, number: int) -> None:
        self._at = database, register(database, config()), get_user(database, f"p{number}")

    def claim(self) -> dict | None:
        held = claim(*self._at)
        return None if isinstance(held, NothingNow) else lease_of(held).model_dump()

    def release(self, lease: dict) -> None:
        release(*self._at, Lease(**lease))

    def save(self, lease: dict, rev: int) -> None:
        save_draft(*self._at, Save(**lease, base_rev=rev, document=document(rev)))

    def submit(self, lease: dict, submission_id: str) -> None:
        submit(*self._at, Submission(**lease, client_submission_id=submission_id, body=BODY))


class Remote:
    """One annotator whose page talks to a server."""

    def __init__(self, port: int, cookie: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"content-type": "application/json", "cookie": cookie}

    def claim(self) -> dict | None:
        held = self._ask("POST", "/api/v1/claims", {})["claim"]
        return held and {name: held[name] for name in ("item_id", "round", "lease_token")}

    def release(self, lease: dict) -> None:
        self._ask("DELETE", f"/api/v1/items/{lease['item_id']}/lease", _without_item(lease))

    def save(self, lease: dict, rev: int) -> None:
        draft = _without_item(lease) | {"base_rev": rev, "document": document(rev)}
        self._ask("PUT", f"/api/v1/items/{lease['item_id']}/draft", draft)

    def submit(self, lease: dict, submission_id: str) -> None:
        said = {"client_submission_id": submission_id, "body": BODY, "active_ms": 1}
        self._ask("POST", f"/api/v1/items/{lease['item_id']}/submissions", _without_item(lease) | said)

    def _ask(self, method: str, path: str, body: dict) -> dict:
        self._http.request(method, path, json.dumps(body), self._headers)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{answer.status} {text[:200]!r}")
        return json.loads(text) if text else {}


def _without_item(lease: dict) -> dict:
    return {name: value for name, value in lease.items() if name != "item_id"}


def document(rev: int) -> dict:
    return {"body": BODY, "log": [rev] * 50}


def _work(url: str, number: int, start, results, pause: float, saves: int) -> None:
    database = Database(url)
    results.put(_annotate(Direct(database, number), number, start, pause, saves))
    database.close()


def _annotate(acts: Direct | Remote, number: int, start, pause: float, saves: int) -> dict:
    """One annotator, until nothing is left."""
    times: dict[str, list[float]] = {"claim": [], "save": [], "submit": []}
    errors: list[str] = []
    pauses = random.Random(number)  # people do not act in step

    def timed(act, *arguments):
        began = time.perf_counter()
        try:
            return getattr(acts, act)(*arguments)
        except (SpanwiseError, SQLAlchemyError, RuntimeError, OSError) as error:
            errors.append(f"{act}: {type(error).__name__}: {error}")
        finally:
            times[act].append((time.perf_counter() - began) * 1000)

    start.wait(timeout=300)
    time.sleep(pauses.uniform(0, 2 * pause))
    while lease := timed("claim"):
        for rev in range(saves):
            time.sleep(pauses.uniform(0, 2 * pause))
            timed("save", lease, rev)
        time.sleep(pauses.uniform(0, 2 * pause))
        submission_id = str(uuid.uuid4())
        for _ in range(2):
            timed("submit", lease, submission_id)
    return {"times": times, "errors": errors}


def _counted(url: str, overlap: int, told: list[dict], seconds: float) -> Race:
    times = {act: [t for one in told for t in one["times"][act]] for act in ("claim", "save", "submit")}
    errors = [error for one in told for error in one["errors"]]
    said = tables.annotation
    database = Database(url)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(said)).scalar_one()
        per_item = connection.execute(select(func.count()).select_from(said).group_by(said.c.item_id)).scalars().all()
        per_pair = select(func.count()).select_from(said).group_by(said.c.item_id, said.c.user_id)
        repeats = sum(count > 1 for count in connection.execute(per_pair).scalars())
    database.close()
    over = sum(count > overlap for count in per_item)
    return Race(total, over, repeats, errors, seconds, times)


def kill_and_check(url: str, *, times: int, writers: int, seconds: float = 0.4) -> tuple[int, int, CheckReport]:
    """Kills a serving process of `writers` threads `times` times, each up to `seconds` after its first save.

    Returns how many revisions were acknowledged, how many of them are not there, and what the check says.
    """
    prepare(url, people=writers, items=writers, overlap=1)
    acknowledged: dict[str, int] = {}
    moments = random.Random(0)
    context = _processes()
    for _ in range(times):
        told, tells = context.Pipe(duplex=False)
        server = context.Process(target=_serve, args=(url, writers, tells))
        server.start()
        tells.close()
        assert told.poll(300), "no save in five minutes"
        time.sleep(moments.uniform(0, seconds))
        server.kill()
        for key, rev in _all_of(told):
            acknowledged[key] = max(acknowledged.get(key, 0), rev)
        server.join()
        server.close()
    database = Database(url)
    with database.read() as connection:
        rows = connection.execute(select(tables.draft.c.item_id, tables.draft.c.rev, tables.draft.c.document)).all()
    present = {row.item_id: row.rev for row in rows}
    lost = sum(present.get(key, 0) < rev for key, rev in acknowledged.items())
    lost += sum(row.document["rev"] != row.rev for row in rows)
    report = check(database)
    database.close()
    return sum(acknowledged.values()), lost, report


def _all_of(told: Connection) -> Generator[tuple[str, int]]:
    """Everything that a process said before it was killed."""
    with told:
        while True:
            try:
                yield told.recv()
            except EOFError:
                return


def _serve(url: str, writers: int, tells: Connection) -> None:
    """Many threads save drafts as fast as they can and say what is acknowledged."""
    database = Database(url)
    project = register(database, config())
    turn = threading.Lock()

    def write(number: int) -> None:
        user = get_user(database, f"p{number}")
        held = claim(database, project, user)
        assert not isinstance(held, NothingNow)
        lease = lease_of(held).model_dump()
        rev = held.draft.rev if held.draft else 0
        while True:
            saved = save_draft(database, project, user, Save(**lease, base_rev=rev, document={"rev": rev + 1}))
            rev = saved.rev
            with turn:
                tells.send((held.item_id, rev))

    for number in range(writers):
        threading.Thread(target=write, args=(number,)).start()
