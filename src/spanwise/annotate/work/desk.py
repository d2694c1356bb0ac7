"""One user at work in one write transaction: what most steps of the backend need together."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Annotated

from pydantic import StringConstraints
from sqlalchemy import Connection, select

from spanwise.annotate.people import User
from spanwise.annotate.store import Database, Project, audit, tables
from spanwise.feedback import Record

ClientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]
"""Made by a page for what it sends, so that sending it twice does no harm."""


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

    def lease_seconds(self) -> float:
        """How long a lease lasts."""
        return self.project.config.lease_minutes * 60

    def lease_end(self) -> str:
        """When a lease that begins or is renewed now ends."""
        return self.database.later(self.lease_seconds())

    def log(self, kind: str, subject: str, **data: object) -> None:
        """Adds to the audit trail in the user's name."""
        audit.record(self.connection, self.database, kind, subject, user_id=self.user.id, **data)

    def had(self, item_id: str, round_number: int) -> bool:
        """Whether the user has a slot of the item, or once had a lease of one, as the trail says."""
        slot, event = tables.slot, tables.event
        own = slot.c.item_id == item_id, slot.c.round == round_number, slot.c.user_id == self.user.id
        if self.connection.execute(select(slot.c.k).where(*own).limit(1)).first() is not None:
            return True
        claimed = event.c.subject == item_id, event.c.user_id == self.user.id, event.c.kind == "lease.claimed"
        leases = self.connection.execute(select(event.c.data).where(*claimed)).scalars()
        return any(data["round"] == round_number for data in leases)


@contextlib.contextmanager
def at_desk(database: Database, project: Project, user: User) -> Generator[Desk]:
    """A write transaction of `user`: all of it happens, or nothing when the block raises."""
    with database.write(user.id) as connection:
        yield Desk(connection, database, project, user)
