"""The audit trail: who did what to which thing, when; rows are only ever added (triggers hold that)."""

from typing import Any

from sqlalchemy import Connection, Insert, func, insert, select

from spanwise.annotate.store.database import Database
from spanwise.annotate.store.tables import event, user
from spanwise.feedback import Record

_ADD = insert(event)


class Event(Record):
    """One thing that happened."""

    seq: int
    at: str
    user: str | None
    """The name of who did it; None for the command line and the server itself."""
    kind: str
    subject: str
    data: dict[str, Any]


class EventPage(Record):
    """One page of the trail."""

    total: int
    rows: tuple[Event, ...]


def record(
    connection: Connection, database: Database, kind: str, subject: str, *, user_id: str | None = None, **data: Any
) -> None:
    """Adds an event to the transaction of `connection`: it is kept if, and only if, what it tells happens."""
    connection.execute(_ADD, _row(database, kind, subject, user_id, data))


def entry(database: Database, kind: str, subject: str, *, user_id: str | None = None, **data: Any) -> Insert:
    """The statement that adds an event."""
    return insert(event).values(**_row(database, kind, subject, user_id, data))


def _row(database: Database, kind: str, subject: str, user_id: str | None, data: dict[str, Any]) -> dict[str, Any]:
    return {"at": database.now(), "user_id": user_id, "kind": kind, "subject": subject, "data": data}


def history(
    database: Database, *, subject: str | None = None, user_id: str | None = None, offset: int = 0, limit: int = 100
) -> EventPage:
    """Events, newest first; of one subject (an item, a user, a batch) or user where one is given."""
    query = select(event, user.c.name).outerjoin(user, user.c.id == event.c.user_id)
    query = query if subject is None else query.where(event.c.subject == subject)
    query = query if user_id is None else query.where(event.c.user_id == user_id)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        page = connection.execute(query.order_by(event.c.seq.desc()).offset(offset).limit(min(limit, 500))).mappings()
        rows = tuple(
            Event(user=row["name"], **{name: row[name] for name in ("seq", "at", "kind", "subject", "data")})
            for row in page
        )
    return EventPage(total=total, rows=rows)
