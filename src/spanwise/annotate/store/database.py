"""The annotation database: an engine for SQLite or PostgreSQL, and the two ways to work with it, read and write.

A write on SQLite begins with BEGIN IMMEDIATE, so that it never has to be upgraded and never fails half-way with
"database is locked"; `synchronous=FULL` means that what was acknowledged survives a power cut. A disk that is full, or
on a network, where SQLite's locks do not hold, is refused in a sentence, and so is a write whose turn does not come:
reads need no turn. On PostgreSQL a write takes an advisory lock on what its caller names, for example a user. This file
knows no tables.
"""

import contextlib
import logging
import re
import secrets
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Executable, Table, create_engine, event, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from spanwise.annotate.store.refusals import BusyError, DamageError, StorageError
from spanwise.core import ConfigError, SpanwiseError, Turn, unpaused

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs"}
    | {"gpfs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs2", "fuse.ceph"}
)
_OCTAL = re.compile(r"\\([0-7]{3})")
PATIENCE = 15.0
"""Seconds that a write waits for its turn; a server waits less, since a page asks again."""
_SHORT = 0.5
_STUCK = 0.1  # seconds that one waits where others waited in vain just now
_PATIENCE_ON_SERVER = 3.0  # seconds that PostgreSQL lets a statement wait for a lock
_BUSY_SECONDS = 1.0  # for SQLite's own lock: only programs that are not ours hold it without the turn
OLDEST_SQLITE = (3, 31)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
_ENGINE: dict[str, Any] = {"pool_size": 20, "max_overflow": 30, "pool_timeout": 3, "hide_parameters": True}
"""Statements stand in logs without their values: people's texts and hashes of secrets are no business of a log."""


_LOCK = text("SELECT set_config('lock_timeout', :timeout, true), pg_advisory_xact_lock(hashtextextended(:key, 0))")
_FULL = "The server's disk is full, and nothing of this was stored; make room, then try again."
_REFUSED = "The server may not write to its database, and nothing was stored; allow it, then try again."
_FAILED = "The server's disk failed, and nothing of this was stored; look at the disk, then try again."
_BUSY = "The database is busy with something else, and nothing of this was stored; try again in a moment."
_AWAY = "The database does not answer, and nothing of this was stored; see that it runs, then try again."
_DAMAGED = "The database is damaged; see `spanwise annotate db check`, then bring back a copy with `db restore`."
_BY_CODE: dict[int | str, type[SpanwiseError]] = {
    sqlite3.SQLITE_FULL: StorageError, sqlite3.SQLITE_READONLY: StorageError, sqlite3.SQLITE_IOERR: StorageError,
    sqlite3.SQLITE_CANTOPEN: StorageError, sqlite3.SQLITE_BUSY: BusyError, sqlite3.SQLITE_LOCKED: BusyError,
    sqlite3.SQLITE_CORRUPT: DamageError, sqlite3.SQLITE_NOTADB: DamageError,
}  # fmt: skip


def database_problem(error: Exception) -> SpanwiseError | None:
    """What people are told of an error that the disk, other writers or the server caused; None for any other."""
    if isinstance(error, PoolTimeoutError):
        return BusyError(_BUSY)
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    return _on_postgresql(error, state) if state or "psycopg" in type(error.orig).__module__ else _on_sqlite(error)


def _on_sqlite(error: DBAPIError) -> SpanwiseError | None:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number only details it
    kind = _BY_CODE.get(code)
    if kind is DamageError:
        return DamageError(_DAMAGED)
    if kind is BusyError:
        return BusyError(_BUSY)
    said = {sqlite3.SQLITE_FULL: _FULL, sqlite3.SQLITE_READONLY: _REFUSED}.get(code, _FAILED)
    return StorageError(said) if kind else None


def _on_postgresql(error: DBAPIError, state: str | None) -> SpanwiseError | None:
    """By the classes of PostgreSQL's error codes (its manual, appendix A)."""
    if state == "53100":
        return StorageError(_FULL)
    if state == "25006":
        return StorageError(_REFUSED)
    if state and (state.startswith(("40", "53")) or state in ("55P03", "57014", "25P03")):
        return BusyError(_BUSY)
    lost = state is None and isinstance(error, OperationalError)
    if error.connection_invalidated or lost or (state or "").startswith(("08", "57P", "58")):
        return BusyError(_AWAY)
    return None


def network_file_system(path: Path, *, mounts: Path = MOUNTS) -> str | None:
    """The kind of network file system that `path` lies on, such as "nfs4"; None on a disk of this machine.

    Only Linux tells (`mounts`, see proc(5)); elsewhere the answer is None.
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    target, kind, longest = path.absolute().resolve(), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        at, fields = Path(_OCTAL.sub(lambda sign: chr(int(sign[1], 8)), before.split(" ")[4])), after.split(" ")
        if target.is_relative_to(at) and len(at.parts) >= longest:  # of two mounts at one place the later is seen
            kind, longest = fields[0], len(at.parts)
    return kind if kind in NETWORK else None


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds; such stamps sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    """A ULID: 26 characters that sort by the time they were made."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


class Database:
    """An engine with a clock. Safe to share between threads; each process opens its own."""

    def __init__(self, url: str, *, clock: Clock = utc_now) -> None:
        self.url = _usable(url)
        self.clock = clock
        self.patience = PATIENCE
        self.dialect: Literal["sqlite", "postgresql"] = "sqlite" if self.url.startswith("sqlite") else "postgresql"
        self.engine = _sqlite_engine(self.url) if self.dialect == "sqlite" else _postgresql_engine(self.url)
        self._turn = Turn(self.path.with_name(f"{self.path.name}-turn") if self.path else None)
        self._stuck = False
        self._late_lock = threading.Lock()
        self._later: list[tuple[tuple[Executable, ...], Callable[[], object]]] = []

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for PostgreSQL."""
        name = make_url(self.url).database
        return Path(name) if self.dialect == "sqlite" and name else None

    @contextlib.contextmanager
    def read(self) -> Generator[Connection]:
        """A connection that sees one state of the database throughout. It waits for no writer.

        Raises DamageError, StorageError or BusyError when the database cannot be read.
        """
        options = (
            {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with _told(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self, lock: str = "", *, patience: float | None = None) -> Generator[Connection]:
        """A connection whose changes all happen or, when the block raises, none. Writers of one `lock` take turns.

        Raises StorageError when the disk is full or may not be written, BusyError when it is not the caller's turn
        within `patience` seconds, the database's own where none are given.
        """
        seconds = self.patience if patience is None else patience
        with _told(), self._turns(seconds), self._writing() as connection, connection.begin():
            if lock and self.dialect == "postgresql":
                connection.execute(_LOCK, {"key": lock, "timeout": f"{seconds * 1000:.0f}"})
            late = self._take_late()
            try:
                for statements, _ in late:
                    _run_late(connection, statements)
                yield connection
            except BaseException:
                with self._late_lock:
                    self._later[:0] = late
                raise
        for _, then in late:
            then()

    def postpone(self, *statements: Executable, then: Callable[[], object] = lambda: None) -> None:
        """Runs statements with the next write of this process that succeeds, then calls `then`.

        For what is good to know and not worth waiting for. What the database then refuses is left out.
        """
        with self._late_lock:
            self._later.append((statements, then))

    def write_late(self) -> None:
        """Runs now what was postponed, where nobody else writes for long; raises as `write` does."""
        if self._later:
            with self.write(patience=min(self.patience, _SHORT)):
                pass

    def _take_late(self) -> list[tuple[tuple[Executable, ...], Callable[[], object]]]:
        with self._late_lock:
            late, self._later = self._later, []
        return late

    @contextlib.contextmanager
    def _turns(self, patience: float) -> Generator[None]:
        """On SQLite one writer at a time, of all threads and processes; a stopped one lets nobody wait for long."""
        if self.dialect == "postgresql":
            yield
            return
        with unpaused():
            if not self._turn.take(min(patience, _STUCK) if self._stuck else patience):
                self._stuck = self._stuck or patience >= self.patience
                raise BusyError(_BUSY)
            self._stuck = False
            try:
                yield
            finally:
                self._turn.give_back()

    @contextlib.contextmanager
    def _writing(self) -> Generator[Connection]:
        with self.engine.connect().execution_options(spanwise_write=True) as connection:
            yield connection

    def now(self) -> str:
        """The clock's time as a stamp."""
        return stamp(self.clock())

    def later(self, seconds: float) -> str:
        """The stamp `seconds` from now; earlier when negative."""
        return stamp(self.clock() + timedelta(seconds=seconds))

    def close(self) -> None:
        """Gives all connections back; on SQLite this folds the write-ahead log into the file."""
        self.patience = min(self.patience, 1.0)
        with contextlib.suppress(SpanwiseError, DBAPIError):
            self.write_late()
        self.engine.dispose()
        self._turn.close()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def add_absent(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Inserts rows; those that somebody else inserted meanwhile stay as they are."""
    if rows:
        make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
        connection.execute(make(table).on_conflict_do_nothing(), rows)


@contextlib.contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        problem = database_problem(error)
        if problem is None:
            raise
        raise problem from error


def _run_late(connection: Connection, statements: tuple[Executable, ...]) -> None:
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.execute(statement)
    except IntegrityError as error:  # what it speaks of is gone
        log.info("left out what was postponed: %s", error.orig)


def _usable(url: str) -> str:
    try:
        driver = make_url(url).drivername
    except ArgumentError as error:
        raise ConfigError(f"database: {url!r:.80} is no database address; give postgresql://user@host/name.") from error
    if driver in ("postgresql", "postgres"):
        return "postgresql+psycopg" + url[url.index("://") :]
    if driver in ("sqlite", "postgresql+psycopg"):
        return url
    raise ConfigError(f"database: {driver} is not supported; use SQLite or PostgreSQL.")


def _postgresql_engine(url: str) -> Engine:
    settings = f"-c lock_timeout={int(_PATIENCE_ON_SERVER * 1000)} -c idle_in_transaction_session_timeout=60000"
    query = make_url(url).query
    options = " ".join((settings, *([str(query["options"])] if "options" in query else [])))
    return create_engine(
        make_url(url).difference_update_query(["options"]),
        **_ENGINE,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"options": options, "connect_timeout": 3},
    )


def _sqlite_engine(url: str) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old; Spanwise needs 3.31 or later.")
    engine = create_engine(url, **_ENGINE, connect_args={"timeout": _BUSY_SECONDS})
    remote = network_file_system(Path(make_url(url).database or ""))
    if remote:
        warnings.warn(
            f"The database lies on a network file system ({remote}): keep to one server, and make backups. A disk of "
            "this machine, or PostgreSQL, is safer.",
            stacklevel=3,
        )
    event.listen(engine, "connect", _prepare_remote if remote else _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_remote(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=DELETE")  # a write-ahead log needs memory that machines do not share
    _settle(connection)


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode not in ("wal", "memory"):
        warnings.warn(
            f"SQLite refused write-ahead logging here (journal mode {mode}): keep to one server.", stacklevel=2
        )
    _settle(connection)


def _settle(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None  # this file says when a transaction begins, not the driver
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "temp_store=MEMORY",  # sorting needs no room on a disk that has none
        f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("spanwise_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
