"""What a server remembers of logins until its database takes it: a full or busy disk locks nobody out.

Sessions, wrong passwords and when somebody was last seen are rows; while a row cannot be written, or is not worth a
write of its own, it is kept here, seen by this process alone, and goes along with the next write that succeeds.
"""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, delete, insert, update

from spanwise.annotate.store import Database, tables

Row = Mapping[str, Any]
_MOST_ATTEMPTS = 10_000


@dataclass
class Pending:
    """What of one database is not written yet."""

    database: "weakref.ref[Database]"
    sessions: dict[str, Row] = field(default_factory=dict[str, Row])
    """Rows of sessions, by the hash of their token."""
    ended: set[str] = field(default_factory=set[str])
    spent: set[str] = field(default_factory=set[str])
    """Hashes of one-time addresses that were used."""
    attempts: list[Row] = field(default_factory=list[Row])
    seen: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """When a session or token was last seen, by its table and key."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, row: Row) -> None:
        """Keeps a session."""
        self.sessions[row["id_hash"]] = row
        self._write(insert(tables.session).values(**row), then=lambda: self.sessions.pop(row["id_hash"], None))

    def end(self, hashed: str) -> None:
        """Ends a session that may stand in the database."""
        self.sessions.pop(hashed, None)
        self.ended.add(hashed)
        gone = delete(tables.session).where(tables.session.c.id_hash == hashed)
        self._write(gone, then=lambda: self.ended.discard(hashed))

    def spend(self, hashed: str, at: str) -> None:
        """Marks a one-time address as used."""
        self.spent.add(hashed)
        used = update(tables.login_key).where(tables.login_key.c.key_hash == hashed).values(used_at=at)
        self._write(used, then=lambda: self.spent.discard(hashed))

    def failed(self, row: Row) -> None:
        """Keeps a wrong password; of very many the oldest goes, and is not written."""
        with self.lock:
            full = len(self.attempts) >= _MOST_ATTEMPTS
            self.attempts = [*self.attempts[-_MOST_ATTEMPTS + 1 :], row]
        if not full:
            self._write(insert(tables.login_attempt).values(**row), then=lambda: self._drop(row))

    def saw(self, table: Table, key: str, at: str, change: Any) -> None:
        """Notes when a session or token was used; `change` writes it."""
        self.seen[table.name, key] = at
        self._write(change, then=lambda: self.seen.pop((table.name, key), None))

    def last_seen(self, table: Table, key: str, written: str | None) -> str | None:
        """The later of what the database says and what is noted here."""
        return max(filter(None, (written, self.seen.get((table.name, key)))), default=None)

    def _drop(self, row: Row) -> None:
        with self.lock:
            self.attempts = [kept for kept in self.attempts if kept is not row]

    def _write(self, statement: Any, *, then: Callable[[], object]) -> None:
        database = self.database()
        if database is not None:
            database.postpone(statement, then=then)


_by_database: "weakref.WeakKeyDictionary[Database, Pending]" = weakref.WeakKeyDictionary()
_making = threading.Lock()


def pending(database: Database) -> Pending:
    """What `database` has not taken yet."""
    with _making:
        return _by_database.setdefault(database, Pending(weakref.ref(database)))
