"""One user at work in one write transaction: what most steps of the backend need together."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass

from sqlalchemy import Connection

from spanwise.annotate.people import User
from spanwise.annotate.store import Database, Project, audit
from spanwise.feedback import Record


class Lease(Record):
    """What a page shows to prove that an item was lent to it."""

    item_id: str
    round: int
    lease_token: str


class SlotKey(Record):
    """Which slot is meant."""

    item_id: str
    round: int
    k: int


@dataclass(frozen=True, slots=True)
class Desk:
    """An open write transaction of a user; on PostgreSQL, transactions of one user take turns."""

    connection: Connection
    database: Database
    project: Project
    user: User

    def lease_end(self) -> str:
        """When a lease that begins or is renewed now ends."""
        return self.database.later(self.project.config.lease_minutes * 60)

    def log(self, kind: str, subject: str, **data: object) -> None:
        """Adds to the audit trail in the user's name."""
        audit.record(self.connection, self.database, kind, subject, user_id=self.user.id, **data)


@contextlib.contextmanager
def at_desk(database: Database, project: Project, user: User) -> Generator[Desk]:
    """A write transaction of `user`: all of it happens, or nothing when the block raises."""
    with database.write(user.id) as connection:
        yield Desk(connection, database, project, user)
