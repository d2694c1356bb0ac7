"""Care of the annotation database: bring it to the present shape, copy it, check it, bring a copy back.

An upgrade copies a SQLite file first and happens whole or not at all. It knows nothing of what the rows mean.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, func, inspect, select, text

from spanwise.annotate.store.database import Database
from spanwise.annotate.store.refusals import DamageError
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
    """Rows by table; of a damaged one those that can be read."""
    copies: tuple[str, ...] = ()
    """Where the database is damaged: sound copies beside it, the latest first."""


class Restored(Record):
    """What a restore did."""

    kept: str | None
    """Where the database is that stood there before; None where there was none."""
    report: CheckReport


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
    """Copies a SQLite database while others write to it.

    Raises DataError on PostgreSQL, when `target` is there, and when the copy is as damaged as the database.
    """
    source = database.path
    if source is None:
        raise DataError("A PostgreSQL database is backed up by its own tools; run pg_dump.")
    if target.exists():
        raise DataError(f"{target}: is there already; name another file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.unlink(missing_ok=True)
    try:
        _copy(source, beside)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target


def restore(database: Database, copy: Path) -> Restored:
    """Puts a copy in the place of a SQLite database and keeps what stood there beside it.

    No server may work on the database meanwhile. Raises DataError on PostgreSQL, and for a copy that is not sound.
    """
    path = database.path
    if path is None:
        raise DataError("A PostgreSQL database is brought back by its own tools; run pg_restore or psql.")
    problems = _file_problems(copy)
    if problems:
        raise DataError(f"{copy}: is no sound copy of an annotation database ({problems[0]}); choose another copy.")
    database.close()
    beside, kept = path.with_name(f".{path.name}.restored"), None
    beside.unlink(missing_ok=True)
    try:
        _copy(copy, beside)
        if path.exists():
            kept = path.with_name(f"{path.name}.replaced-{database.now().replace(':', '')}")
            for suffix in ("", "-wal"):  # what is in the log belongs to the old file, and damages any other
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(f"{path}{suffix}", f"{kept}{suffix}")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        beside.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be put back ({error.strerror}); make room, then try again.") from error
    finally:
        beside.unlink(missing_ok=True)
    return Restored(kept=str(kept) if kept else None, report=check(database))


def _copy(source: Path, target: Path) -> None:
    """A whole and sound copy of a SQLite file, its write-ahead log included; raises DataError where there is none."""
    reader, writer = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reader.backup(writer)
        said = [row[0] for row in writer.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        raise DataError(f"{source}: cannot be copied ({error}); see `spanwise annotate db check`.") from error
    finally:
        reader.close()
        writer.close()
    if said != ["ok"]:
        raise DataError(f"{source}: is damaged ({said[0]}); see `spanwise annotate db check`.")


def _file_problems(path: Path) -> list[str]:
    """What keeps a file from being a sound annotation database."""
    if not path.is_file():
        return ["there is no such file"]
    known = {step.revision for step in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as raw:
            found = [row[0] for row in raw.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
            revision = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    if not revision or revision[0] not in known:
        found.append(f"its revision {revision[0] if revision else 'is not told'}, which this Spanwise does not know")
    return found


def check(database: Database) -> CheckReport:
    """Looks for damage: the file's structure, references to absent rows, texts and quotes that do not fit.

    Of a damaged file it tells what can still be read, and which copies beside it are sound.
    """
    problems: list[str] = []
    try:
        with database.read() as connection:
            revision = _revision(connection)
    except DamageError as error:
        revision = None
        problems.append(f"the file cannot be read as a database ({_cause(error)})")
    else:
        if revision is None:
            return CheckReport(ok=False, revision=None, problems=("the database is empty",), counts={})
        for look in (_structure, _contents):
            problems += _seen(database, look)
    counts = {table.name: _count(database, table, problems) for table in _COUNTED}
    copies = _copies(database.path) if problems and database.path else ()
    return CheckReport(ok=not problems, revision=revision, problems=tuple(problems), counts=counts, copies=copies)


def _seen(database: Database, look: Callable[[Connection], Iterator[str]]) -> list[str]:
    problems: list[str] = []
    try:
        with database.read() as connection:
            problems.extend(look(connection))
    except DamageError as error:
        problems.append(f"what remains cannot be looked at ({_cause(error)})")
    return problems


def _cause(error: DamageError) -> str:
    return str(getattr(error.__cause__, "orig", error))


def _count(database: Database, table: Table, problems: list[str]) -> int:
    """How many rows of a table there are; of a damaged one, those that can be read from either end."""
    try:
        with database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()
    except DamageError:
        assert database.path is not None  # only a file is damaged
        readable = _readable(database.path, table.name)
        problems.append(f"of the table {table.name} {readable:,} rows can be read")
        return readable


def _readable(path: Path, table: str) -> int:
    rows: set[int] = set()
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as raw:
            for row in raw.execute(f'SELECT rowid, * FROM "{table}" NOT INDEXED ORDER BY rowid {order}'):
                if row[0] in rows:
                    break
                rows.add(row[0])
    return len(rows)


def _copies(path: Path) -> tuple[str, ...]:
    """Sound copies that lie beside a database."""
    beside = [*path.parent.glob(f"{path.name}.before-*.bak"), *path.parent.glob("*.db"), *path.parent.glob("*.bak")]
    others = sorted(set(beside) - {path}, key=lambda copy: -copy.stat().st_mtime)
    return tuple(str(copy) for copy in others if not _file_problems(copy))


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
    yield from (row[0] for row in connection.execute(text("PRAGMA integrity_check(100)")) if row[0] != "ok")
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
