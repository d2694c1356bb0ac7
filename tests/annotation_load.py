"""Annotators under load, as processes of their own: they race for items, save and submit, and are killed meanwhile.

Used by the slow tests and by `benchmarks/annotation_load.py`. Run as a program it is one annotator of
`kill_and_check`: it prints a line for each acknowledged revision and goes on until it is killed.
"""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from spanwise.annotate import tables
from spanwise.annotate.database import Database
from spanwise.annotate.desk import Lease
from spanwise.annotate.drafts import Save, save_draft
from spanwise.annotate.items import NewItem, add_items
from spanwise.annotate.project import ProjectConfig, preset
from spanwise.annotate.queue import Claim, NothingNow, claim, release
from spanwise.annotate.setup import register
from spanwise.annotate.submit import Submission, submit
from spanwise.annotate.upkeep import CheckReport, check, upgrade
from spanwise.annotate.users import create_user, get_user
from spanwise.errors import SpanwiseError
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
        add_items(connection, project, new, batch_id=None)
    database.close()


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
        told = list(pool.map(lambda number: _annotate(database, number, start, pause, saves), range(people)))
    database.close()
    return _counted(url, overlap, told, time.monotonic() - began)


def race(url: str, *, people: int, items: int, overlap: int, pause: float = 0.0, saves: int = 0) -> Race:
    """Lets `people` processes work until nothing is left, each submit sent twice, and counts what went wrong."""
    prepare(url, people=people, items=items, overlap=overlap)
    context = multiprocessing.get_context("spawn")
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


def _work(url: str, number: int, start, results, pause: float, saves: int) -> None:
    database = Database(url)
    results.put(_annotate(database, number, start, pause, saves))
    database.close()


def _annotate(database: Database, number: int, start, pause: float, saves: int) -> dict:
    """One annotator, until nothing is left."""
    project, user = register(database, config()), get_user(database, f"p{number}")
    times: dict[str, list[float]] = {"claim": [], "save": [], "submit": []}
    errors: list[str] = []
    pauses = random.Random(number)  # people do not act in step

    def timed(act, call, *arguments):
        began = time.perf_counter()
        try:
            return call(database, project, user, *arguments)
        except (SpanwiseError, SQLAlchemyError) as error:
            errors.append(f"{act}: {type(error).__name__}: {error}")
        finally:
            times[act].append((time.perf_counter() - began) * 1000)

    start.wait(timeout=300)
    while True:
        held = timed("claim", claim)
        if held is None or isinstance(held, NothingNow):
            break
        lease = lease_of(held).model_dump()
        for rev in range(saves):
            time.sleep(pauses.uniform(0, 2 * pause))
            timed("save", save_draft, Save(**lease, base_rev=rev, document={"body": BODY, "log": [rev] * 50}))
        time.sleep(pauses.uniform(0, 2 * pause))
        sent = Submission(**lease, client_submission_id=str(uuid.uuid4()), body=BODY)
        for _ in range(2):
            timed("submit", submit, sent)
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
    """Kills a serving process of `writers` threads `times` times under write load.

    Returns how many revisions were acknowledged, how many of them are not there, and what the check says.
    """
    prepare(url, people=writers, items=writers, overlap=1)
    acknowledged: dict[str, int] = {}
    for _ in range(times):
        program = [sys.executable, str(Path(__file__)), url, str(writers)]
        server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert server.stdout is not None
        server.stdout.readline()  # all writers are at work
        time.sleep(seconds)
        os.kill(server.pid, signal.SIGKILL)
        for line in server.stdout.read().splitlines():
            if line.endswith("}"):  # the last line may be cut off
                told = json.loads(line)
                acknowledged[told["key"]] = max(acknowledged.get(told["key"], 0), told["rev"])
        server.wait()
        server.stdout.close()
    database = Database(url)
    with database.read() as connection:
        rows = connection.execute(select(tables.draft.c.item_id, tables.draft.c.rev, tables.draft.c.document)).all()
    present = {row.item_id: row.rev for row in rows}
    lost = sum(present.get(key, 0) < rev for key, rev in acknowledged.items())
    lost += sum(row.document["rev"] != row.rev for row in rows)
    report = check(database)
    database.close()
    return sum(acknowledged.values()), lost, report


def _serve(url: str, writers: int) -> None:
    """Many threads save drafts as fast as they can and print what is acknowledged."""
    database = Database(url)
    project = register(database, config())
    sys.stdout.write("started\n")
    sys.stdout.flush()

    def write(number: int) -> None:
        user = get_user(database, f"p{number}")
        held = claim(database, project, user)
        assert not isinstance(held, NothingNow)
        lease = lease_of(held).model_dump()
        rev = held.draft.rev if held.draft else 0
        while True:
            saved = save_draft(database, project, user, Save(**lease, base_rev=rev, document={"rev": rev + 1}))
            rev = saved.rev
            sys.stdout.write(json.dumps({"key": held.item_id, "rev": rev}) + "\n")
            sys.stdout.flush()

    for number in range(writers):
        threading.Thread(target=write, args=(number,)).start()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
