"""Care of the annotation database: bring it to the present shape, copy it, check it.

An upgrade copies a SQLite file first and happens whole or not at all. It knows nothing of what the rows mean.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text

from spanwise.annotate.store.database import Database
from spanwise.annotate.store.tables import annotation, draft, event, item, metadata, slot, span, user
from spanwise.annotate.store.tables import text as texts
from spanwise.core import DataError
from spanwise.feedback import Record
from spanwise.text import text_hash

KEPT_BACKUPS = 3
_COUNTED = (item, slot, draft, annotation, span, user, event)


class Upgrade(Record):
    """What an upgrade did; `before` is None for a new database."""

    before: str | None
    after: str
    backup: str | None = None


class CheckReport(Record):
    """Whether the database is sound, and how many rows it holds."""

    ok: bool
    revision: str | None
    problems: tuple[str, ...]
    counts: dict[str, int]


def upgrade(database: Database) -> Upgrade:
    """Brings the database to the present shape, after a copy of what was there.

    Raises DataError for a database of a newer Spanwise.
    """
    with database.read() as connection:
        before = _revision(connection)
    config = _alembic()
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head() or ""
    if before == head:
        return Upgrade(before=before, after=head)
    if before is not None and before not in {step.revision for step in script.walk_revisions()}:
        raise DataError(f"The database is of a newer Spanwise (revision {before}); upgrade Spanwise.")
    copy = _backup_before(database, head) if before else None
    with database.write("spanwise-upgrade") as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return Upgrade(before=before, after=head, backup=str(copy) if copy else None)


def backup(database: Database, target: Path) -> Path:
    """Copies a SQLite database while others write to it; raises DataError on PostgreSQL or when `target` is there."""
    source = database.path
    if source is None:
        raise DataError("A PostgreSQL database is backed up by its own tools; run pg_dump.")
    if target.exists():
        raise DataError(f"{target}: is there already; name another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    reader, writer = sqlite3.connect(source), sqlite3.connect(beside)
    try:
        reader.backup(writer)
    finally:
        reader.close()
        writer.close()
    beside.replace(target)
    return target


def check(database: Database) -> CheckReport:
    """Looks for damage: the file's structure, references to absent rows, texts and quotes that do not fit."""
    with database.read() as connection:
        revision = _revision(connection)
        if revision is None:
            return CheckReport(ok=False, revision=None, problems=("the database is empty",), counts={})
        problems = (*_structure(connection), *_contents(connection))
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _COUNTED
        }
    return CheckReport(ok=not problems, revision=revision, problems=problems, counts=counts)


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", "spanwise.annotate.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _backup_before(database: Database, head: str) -> Path | None:
    path = database.path
    if path is None:
        return None
    for broken in path.parent.glob(f".{path.name}.before-*.part"):  # of an upgrade that was killed
        broken.unlink()
    name = f"{path.name}.before-{head}-{database.now().replace(':', '')}.bak"
    copy = backup(database, path.with_name(name))
    for old in sorted(path.parent.glob(f"{path.name}.before-*.bak"))[:-KEPT_BACKUPS]:
        old.unlink()
    return copy


def _structure(connection: Connection) -> Iterator[str]:
    absent = set(metadata.tables) - set(inspect(connection).get_table_names())
    if absent:
        yield f"tables are absent: {', '.join(sorted(absent))}"
    if connection.dialect.name != "sqlite":
        return
    yield from (row[0] for row in connection.execute(text("PRAGMA integrity_check")) if row[0] != "ok")
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row[1]} of {row[0]} refers to an absent row of {row[2]}"


def _contents(connection: Connection) -> Iterator[str]:
    for sha256, content in connection.execute(select(texts.c.sha256, texts.c.content)):
        if text_hash(content) != sha256:
            yield f"the text {sha256} was changed"
    taken = select(slot.c.item_id, slot.c.round, slot.c.k).where(slot.c.state == "submitted")
    done = select(annotation.c.item_id, annotation.c.round, annotation.c.slot_k)
    for row in connection.execute(taken.except_(done)):
        yield f"slot {row[2]} of item {row[0]}, round {row[1]}, is submitted without an annotation"
