"""How a project stands: slots by state, what each person did, who holds what; counted afresh from the rows."""

from datetime import timedelta
from statistics import median

from sqlalchemy import ColumnElement, Connection, Select, TextClause, distinct, func, select
from sqlalchemy import text as sql

from spanwise.annotate.people import User
from spanwise.annotate.store import Database, Project, is_superseded, stamp, tables
from spanwise.annotate.work.gold import gold_report
from spanwise.feedback import Record

_MOST_LEASES = 500


class Pace(Record):
    """What one person did; gold and training items included."""

    user_id: str
    name: str
    submitted: int
    skipped: int
    today: int
    """In the last 24 hours."""
    median_seconds: float | None
    """Time at work per item, where the page told it."""
    gold_score: float | None
    """Over the last 20 gold and training items."""


class LeaseRow(Record):
    """An item that is lent out."""

    item_id: str
    ext_id: str
    round: int
    k: int
    user: str
    expires_at: str
    expired: bool


class Progress(Record):
    """The whole picture."""

    items: int
    slots_open: int
    slots_leased: int
    slots_submitted: int
    slots_skipped: int
    people: tuple[Pace, ...]
    leases: tuple[LeaseRow, ...]


class OwnProgress(Record):
    """What an annotator sees of it."""

    submitted: int
    skipped: int
    today: int
    left: int
    """Items with a place that nobody has taken and that this person has not had."""


def progress(database: Database, project: Project) -> Progress:
    """How the project stands; gold and training items are not counted among items and slots."""
    tally, item = tables.tally, tables.item
    gold = {row.user_id: row.recent for row in gold_report(database, project)}
    with database.read() as connection:
        every = select(func.count()).select_from(tally).where(tally.c.project_id == project.id)
        special = select(func.count()).select_from(item).where(*_special(project))
        items = connection.execute(every).scalar_one() - connection.execute(special).scalar_one()
        states = _states(connection, project)
        people = _people(connection, database, project, gold)
        leases = _leases(connection, database, project)
    return Progress(items=items, people=people, leases=leases, **states)


def slot_states(database: Database, project: Project) -> dict[str, int]:
    """The slots of ordinary items, by state."""
    with database.read() as connection:
        states = _states(connection, project)
    return {name.removeprefix("slots_"): count for name, count in states.items()}


def own_progress(database: Database, project: Project, user: User) -> OwnProgress:
    """The user's own counts."""
    with database.read() as connection:
        people = [pace for pace in _people(connection, database, project, {}) if pace.user_id == user.id]
        left = connection.execute(_left(project, user)).scalar_one()
    pace_of_user = people[0] if people else None
    counts = {name: getattr(pace_of_user, name) if pace_of_user else 0 for name in ("submitted", "skipped", "today")}
    return OwnProgress(left=left, **counts)


def _left(project: Project, user: User) -> Select[int]:
    slot, own = tables.slot, tables.slot.alias("own")
    had = select(own.c.k).where(own.c.item_id == slot.c.item_id, own.c.round == slot.c.round, own.c.user_id == user.id)
    free = slot.c.project_id == project.id, slot.c.kind == "normal", slot.c.state == "open"
    return select(func.count(distinct(slot.c.item_id))).where(*free, ~had.exists())


def _states(connection: Connection, project: Project) -> dict[str, int]:
    """Slots of ordinary items by state: those of all items but the few special ones, from their tallies."""
    tally, item = tables.tally, tables.item
    names = ("open", "leased", "submitted", "skipped")
    summed = select(*(func.coalesce(func.sum(tally.c[name]), 0) for name in names))
    every = connection.execute(summed.where(tally.c.project_id == project.id)).one()
    special = summed.join(item, item.c.id == tally.c.item_id).where(*_special(project))
    others = connection.execute(special).one()
    return {f"slots_{name}": int(a - b) for name, a, b in zip(names, every, others, strict=True)}


def _special(project: Project) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """Gold and training items, as their index says it."""
    return tables.item.c.project_id == project.id, sql("item.purpose <> 'normal'")


def _people(connection: Connection, database: Database, project: Project, gold: dict[str, float]) -> tuple[Pace, ...]:
    annotation = tables.annotation
    query = (
        select(
            annotation.c.user_id,
            tables.user.c.name,
            annotation.c.submitted_at,
            annotation.c.active_ms,
            annotation.c.skipped_reason,
        )
        .join(tables.user, tables.user.c.id == annotation.c.user_id)
        .where(annotation.c.project_id == project.id, annotation.c.kind == "human", ~is_superseded())
    )
    yesterday = stamp(database.clock() - timedelta(days=1))
    rows = connection.execute(query).all()
    people: dict[str, list[tuple[str, int, bool]]] = {}
    names = {row.user_id: row.name for row in rows}
    for row in rows:
        people.setdefault(row.user_id, []).append((row.submitted_at, row.active_ms, row.skipped_reason is not None))
    return tuple(
        Pace(
            user_id=user_id,
            name=names[user_id],
            submitted=sum(not skipped for _, _, skipped in work),
            skipped=sum(skipped for _, _, skipped in work),
            today=sum(at > yesterday for at, _, _ in work),
            median_seconds=median(times) / 1000 if (times := [ms for _, ms, _ in work if ms]) else None,
            gold_score=gold.get(user_id),
        )
        for user_id, work in sorted(people.items(), key=lambda entry: names[entry[0]].casefold())
    )


def _leases(connection: Connection, database: Database, project: Project) -> tuple[LeaseRow, ...]:
    slot, now = tables.slot, database.now()
    query = (
        select(slot, tables.item.c.ext_id, tables.user.c.name)
        .join(tables.item, tables.item.c.id == slot.c.item_id)
        .join(tables.user, tables.user.c.id == slot.c.user_id)
        .where(slot.c.project_id == project.id, slot.c.state == "leased")
        .order_by(slot.c.lease_expires_at)
        .limit(_MOST_LEASES)
    )
    return tuple(
        LeaseRow(
            user=row["name"],
            expires_at=row["lease_expires_at"],
            expired=row["lease_expires_at"] < now,
            **{name: row[name] for name in ("item_id", "ext_id", "round", "k")},
        )
        for row in connection.execute(query).mappings()
    )
