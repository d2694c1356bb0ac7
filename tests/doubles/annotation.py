"""Annotation projects to test with: a small one in a fresh database, its people, and bodies that are right for it.

Tests run on SQLite; where SPANWISE_TEST_POSTGRES names a PostgreSQL server, such as
postgresql://postgres@localhost:5432/spanwise, those that take `place` run on it as well, in a schema of their own.
"""

import functools
import os
import shutil
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.database import Database, sqlite_url, utc_now
from spanwise.annotate.store.items import NewItem, add_items
from spanwise.annotate.store.project import ProjectConfig, preset
from spanwise.annotate.store.setup import register
from spanwise.annotate.store.tables import metadata
from spanwise.annotate.store.upkeep import upgrade
from spanwise.annotate.work.desk import Lease
from spanwise.annotate.work.drafts import Save, save_draft
from spanwise.annotate.work.queue import Claim, claim
from spanwise.annotate.work.submission import Submission, submit
from spanwise.feedback.schema import FeedbackRecord, Passage, Response

POSTGRES = os.environ.get("SPANWISE_TEST_POSTGRES", "")
TEXT = "Ada was born in Oslo. Ada was born in Oslo. She liked 🍎 tea."


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@functools.cache
def _template() -> Path:
    """A migrated, empty SQLite database, to be copied."""
    path = Path(tempfile.mkdtemp(prefix="spanwise-template-")) / "template.db"
    database = Database(sqlite_url(path))
    upgrade(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """The URL of a fresh, migrated database."""
    if request.param == "sqlite":
        shutil.copy(_template(), tmp_path / "annotations.db")
        yield sqlite_url(tmp_path / "annotations.db")
        return
    if not POSTGRES:
        pytest.skip("no PostgreSQL server is named by SPANWISE_TEST_POSTGRES")
    yield _emptied()


@functools.cache
def _postgres() -> str:
    """The URL of a migrated schema of this test run's own."""
    schema = f"t_{uuid.uuid4().hex}"
    admin = Database(POSTGRES)
    with admin.write() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    admin.close()
    url = f"{POSTGRES}?options=-csearch_path%3D{schema}"
    database = Database(url)
    upgrade(database)
    database.close()
    return url


def _emptied() -> str:
    database = Database(_postgres())
    with database.write() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} CASCADE"))
    database.close()
    return _postgres()


class World:
    """A project in a database, with a clock that tests move."""

    def __init__(self, url: str, config: ProjectConfig | None = None, *, real_time: bool = False) -> None:
        self.clock = Clock()
        self.database = Database(url, clock=utc_now if real_time else self.clock)
        if self.database.dialect == "sqlite":  # what no power cut threatens need not wait for the disk
            event.listen(self.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        self.project = register(self.database, config or spans_only())
        self.people: dict[str, object] = {}

    def user(self, name: str = "ann", role: str = "annotator"):
        if name not in self.people:
            self.people[name] = create_user(self.database, name, role=role)
        return self.people[name]

    @property
    def boss(self):
        return self.user("boss", "admin")

    def items(self, count: int = 1, *, overlap: int = 1, purpose: str = "normal", prefix: str = "item") -> list[str]:
        new = [NewItem(small(f"{prefix}-{n}"), f"{prefix}-{n}", {}, purpose, 0.0, overlap) for n in range(count)]
        with self.database.write() as connection:
            return add_items(connection, self.project, new, batch_id=None)

    def claim(self, name: str = "ann", **more) -> Claim:
        found = claim(self.database, self.project, self.user(name), **more)
        assert isinstance(found, Claim), found
        return found

    def submit(self, name: str, held, body: dict | None = None, **more):
        return submit(self.database, self.project, self.user(name), submission(held, body, **more))

    def save(self, name: str, held, rev: int, document: dict):
        wanted = Save(**lease_of(held).model_dump(), base_rev=rev, document=document)
        return save_draft(self.database, self.project, self.user(name), wanted)

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def world(place):
    """A World of spans alone, without items."""
    made = World(place)
    yield made
    made.close()


@functools.cache
def shared_world() -> World:
    """One world with one item for many tests that must leave it as it is, on SQLite."""
    path = Path(tempfile.mkdtemp(prefix="spanwise-shared-")) / "annotations.db"
    shutil.copy(_template(), path)
    made = World(sqlite_url(path))
    made.items(1)
    return made


def spans_only(**changes) -> ProjectConfig:
    """The QA-Feedback preset without edits and comparisons."""
    return preset("qa-feedback").model_copy(update={"tasks": ("spans",), **changes})


def small(record_id: str) -> FeedbackRecord:
    """A question, a passage of two sentences, two responses, no feedback."""
    return FeedbackRecord(
        id=record_id,
        prompt="Where was Ada born?",
        passages=(Passage(title="Ada", sentences=("Ada was born in Rome.", "She died in Bonn.")),),
        responses=(Response(text=TEXT, model="one"), Response(text="In Rome.", model="two")),
    )


def lease_of(held: Claim) -> Lease:
    return Lease(item_id=held.item_id, round=held.round, lease_token=held.lease_token)


def submission(held: Claim, body: dict | None = None, **more) -> Submission:
    values = {"client_submission_id": str(uuid.uuid4()), "body": body or {"no_errors": ["r1"]}, "active_ms": 1500}
    return Submission(**lease_of(held).model_dump(), **(values | more))


def wrong_fact(**changes) -> dict:
    """A span that contradicts the passage, with its evidence."""
    evidence = [{"passage": 0, "sentences": [0]}]
    span = {"id": "s1", "start": 0, "end": 21, "quote": TEXT[:21], "category": "Wrong-Grounding", "evidence": evidence}
    return span | changes


def repetition() -> dict:
    """A span that repeats an earlier one."""
    earlier = {"start": 0, "end": 21, "text": TEXT[:21]}
    return {"id": "s2", "start": 22, "end": 43, "quote": TEXT[22:43], "category": "Redundant", "antecedent": earlier}
