"""The annotation database: an engine for SQLite or PostgreSQL, and the two ways to work with it, read and write.

A write on SQLite begins with BEGIN IMMEDIATE, so that it never has to be upgraded and never fails half-way with
"database is locked"; `synchronous=FULL` means that what was acknowledged survives a power cut. A disk that is full, or
on a network, where SQLite's locks do not hold, is refused in a sentence. On PostgreSQL a write takes an advisory lock
on what its caller names, for example a user. This file knows no tables.
"""

import contextlib
import re
import secrets
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from spanwise.annotate.store.refusals import StorageError
from spanwise.core import ConfigError, give_lock_back, take_lock

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs"}
    | {"gpfs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs2", "fuse.ceph"}
)
_FULL_ON_POSTGRESQL = "53100"
_OCTAL = re.compile(r"\\([0-7]{3})")
BUSY_SECONDS = 15.0
OLDEST_SQLITE = (3, 31)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Clock = Callable[[], datetime]
_ENGINE: dict[str, Any] = {"pool_size": 20, "max_overflow": 20, "hide_parameters": True}
"""Statements stand in logs without their values: people's texts and hashes of secrets are no business of a log."""


def disk_problem(error: OperationalError) -> StorageError | None:
    """What people are told of an error that the disk caused; None for any other."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the number only details it
    if code == sqlite3.SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _FULL_ON_POSTGRESQL:
        return StorageError("The server's disk is full, and nothing of this was stored; make room, then try again.")
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(
            "The server may not write to its database, and nothing was stored; allow it, then try again."
        )
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
        self.dialect: Literal["sqlite", "postgresql"] = "sqlite" if self.url.startswith("sqlite") else "postgresql"
        self.engine = _sqlite_engine(self.url) if self.dialect == "sqlite" else _postgresql_engine(self.url)
        self._turn = _Turn(self.path) if self.dialect == "sqlite" else contextlib.nullcontext()

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for PostgreSQL."""
        name = make_url(self.url).database
        return Path(name) if self.dialect == "sqlite" and name else None

    @contextlib.contextmanager
    def read(self) -> Generator[Connection]:
        """A connection that sees one state of the database throughout."""
        options = (
            {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self, lock: str = "") -> Generator[Connection]:
        """A connection whose changes all happen or, when the block raises, none. Writers of one `lock` take turns.

        Raises StorageError when the disk is full or may not be written.
        """
        try:
            with (
                self.engine.connect().execution_options(spanwise_write=True) as connection,
                self._turn,
                connection.begin(),
            ):
                if lock and self.dialect == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": lock})
                yield connection
        except OperationalError as error:
            refused = disk_problem(error)
            if refused is None:
                raise
            raise refused from error

    def now(self) -> str:
        """The clock's time as a stamp."""
        return stamp(self.clock())

    def later(self, seconds: float) -> str:
        """The stamp `seconds` from now; earlier when negative."""
        return stamp(self.clock() + timedelta(seconds=seconds))

    def close(self) -> None:
        """Gives all connections back; on SQLite this folds the write-ahead log into the file."""
        self.engine.dispose()
        if isinstance(self._turn, _Turn):
            self._turn.close()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


class _Turn:
    """Writers of a SQLite file queue here, threads and processes alike.

    SQLite itself lets waiting writers ask again and again, and an unlucky one may ask in vain until its time is up;
    a file lock wakes them in turn, and ends with its process. Where there are none (Windows) SQLite's way remains.
    """

    def __init__(self, path: Path | None) -> None:
        self._thread = threading.Lock()
        self._path = path.with_name(f"{path.name}-turn") if path is not None else None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            if self._path is not None:
                self._file = self._file or self._path.open("ab")
                take_lock(self._file, wait=True)
        except BaseException:
            self._thread.release()
            raise

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            give_lock_back(self._file)
        self._thread.release()

    def close(self) -> None:
        """Closes the lock file."""
        if self._file is not None:
            self._file.close()
            self._file = None


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
    return create_engine(url, **_ENGINE, pool_pre_ping=True, isolation_level="READ COMMITTED")


def _sqlite_engine(url: str) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old; Spanwise needs 3.31 or later.")
    engine = create_engine(url, **_ENGINE, connect_args={"timeout": BUSY_SECONDS})
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
        f"busy_timeout={int(BUSY_SECONDS * 1000)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("spanwise_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
