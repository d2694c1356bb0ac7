"""Lists of items: by how their slots stand, and by what else is known of them; all conditions hold together."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, literal_column, or_, select
from sqlalchemy import text as sql

from spanwise.annotate.people import name_key
from spanwise.annotate.store import Database, Project, is_superseded, tables
from spanwise.feedback import Record

ItemState = Literal["open", "leased", "done", "skipped"]
Purpose = Literal["normal", "gold", "train"]
STATES: tuple[ItemState, ...] = get_args(ItemState)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
MOST_LISTED, MOST_FOUND = 200, 10_000
"""Rows of a page, and finds of a search."""


class ItemFilter(Record):
    """Which items are meant; what is None or empty asks for nothing."""

    state: ItemState | None = None
    query: str = ""
    """A part of an item's id or prompt, letters of either case alike."""
    round: int | None = None
    purpose: Purpose | None = None
    batch_id: str = ""
    annotator: str = ""
    """Who submitted or skipped something of it."""
    assigned: str = ""
    """A user's name, or "@" and a group's, that the item is kept for."""
    asked: bool = False
    """Whether a question about it is open."""


class ItemRow(Record):
    """An item in a list, with its slots by state."""

    id: str
    ext_id: str
    prompt: str
    round: int
    priority: float
    overlap: int
    purpose: str
    batch_id: str | None
    open: int
    leased: int
    submitted: int
    skipped: int


class ItemPage(Record):
    """One page of a list of items."""

    total: int
    rows: tuple[ItemRow, ...]


def list_items(
    database: Database, project: Project, chosen: ItemFilter | None = None, *, offset: int = 0, limit: int = 50
) -> ItemPage:
    """A page of the chosen items in order of import, with how their slots stand.

    What asks for more than a state ends at 10,000 finds.
    """
    tally, limit = tables.tally, min(limit, MOST_LISTED)
    asked = chosen or ItemFilter()
    with database.read() as connection:
        if asked == ItemFilter(state=asked.state):
            listed = select(tally.c.item_id).where(tally.c.project_id == project.id)
            listed = listed if asked.state is None else listed.where(sql(_IN_STATE[asked.state]))
            total = connection.execute(listed.with_only_columns(func.count())).scalar_one()
            ids = _page(connection, listed, total, offset, limit)
        else:
            every = find_items(connection, database, project, asked)
            total, ids = len(every), every[offset : offset + limit]
        counted = tally.c.open, tally.c.leased, tally.c.submitted, tally.c.skipped
        joined = select(tables.item, *counted).join(tally, tally.c.item_id == tables.item.c.id)
        rows = {row["id"]: row for row in connection.execute(joined.where(tables.item.c.id.in_(ids))).mappings()}
    return ItemPage(total=total, rows=tuple(_row(rows[item_id]) for item_id in ids))


def find_items(connection: Connection, database: Database, project: Project, chosen: ItemFilter) -> Sequence[str]:
    """Ids of the chosen items in order of import, 10,000 at most.

    The items are read one after the other, once: faster than any order that an index has.
    """
    item, tally = tables.item, tables.tally
    ids = select(item.c.id).where(_in_project(database, project), *_conditions(database, chosen))
    if chosen.state is not None:
        ids = ids.join(tally, tally.c.item_id == item.c.id).where(sql(_IN_STATE[chosen.state]))
    unsorted = item.c.position + 0  # else SQLite jumps to and fro between the index and the items
    return connection.execute(ids.order_by(unsorted).limit(MOST_FOUND)).scalars().all()


def _in_project(database: Database, project: Project) -> ColumnElement[bool]:
    """Said to SQLite so that it does not go by the project's index, which jumps to and fro among the items."""
    column = literal_column("+item.project_id") if database.dialect == "sqlite" else tables.item.c.project_id
    return column == project.id


_IN_STATE: dict[ItemState, str] = {
    "open": "tally.open > 0",
    "leased": "tally.leased > 0",
    "skipped": "tally.skipped > 0",
    "done": "tally.open = 0 AND tally.leased = 0 AND tally.submitted + tally.skipped > 0",
}
"""As the indexes of `tally` say it, so that they are used."""


def _conditions(database: Database, chosen: ItemFilter) -> list[ColumnElement[bool]]:
    item, comment = tables.item, tables.comment
    wanted: list[ColumnElement[bool]] = []
    if chosen.query:
        columns = item.c.ext_id, item.c.prompt
        wanted.append(or_(*(_like(column, chosen.query, database) for column in columns)))
    if chosen.round is not None:
        wanted.append(item.c.round == chosen.round)
    if chosen.purpose is not None:
        wanted.append(item.c.purpose == chosen.purpose)
    if chosen.batch_id:
        wanted.append(item.c.batch_id == chosen.batch_id)
    if chosen.annotator:
        wanted.append(item.c.id.in_(_annotated_by(chosen.annotator)))
    if chosen.assigned:
        wanted.append(item.c.id.in_(_assigned_to(chosen.assigned)))
    if chosen.asked:
        asked = comment.c.reply_to.is_(None), comment.c.resolved_at.is_(None)
        wanted.append(item.c.id.in_(select(comment.c.item_id).where(*asked)))
    return wanted


def _annotated_by(name: str) -> Select[Any]:
    annotation, user = tables.annotation, tables.user
    by = user.c.name_key == name_key(name), annotation.c.kind == "human", ~is_superseded()
    return select(annotation.c.item_id).join(user, user.c.id == annotation.c.user_id).where(*by)


def _assigned_to(name: str) -> Select[Any]:
    assignment, user = tables.assignment, tables.user
    kept = select(assignment.c.item_id)
    if name.startswith("@"):
        return kept.where(assignment.c.who == name)
    return kept.join(user, user.c.id == assignment.c.who).where(user.c.name_key == name_key(name))


def _page(connection: Connection, listed: Select[Any], total: int, offset: int, limit: int) -> Sequence[str]:
    """Ids from the nearer end: the way there is what takes time."""
    position, size = tables.tally.c.position, max(0, min(limit, total - offset))
    if offset <= total // 2:
        return connection.execute(listed.order_by(position).offset(offset).limit(size)).scalars().all()
    behind = listed.order_by(position.desc()).offset(total - offset - size).limit(size)
    return connection.execute(behind).scalars().all()[::-1]


def _like(column: Any, query: str, database: Database) -> ColumnElement[bool]:
    """A search within a column; SQLite's own LIKE takes no notice of case, PostgreSQL's ILIKE neither."""
    like = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    escape = "\\" if "\\" in like else None  # without one, a search takes a tenth less
    return column.like(like, escape=escape) if database.dialect == "sqlite" else column.ilike(like, escape="\\")


def _row(row: RowMapping) -> ItemRow:
    return ItemRow(prompt=row["prompt"][:200], **{name: row[name] for name in ItemRow.model_fields if name != "prompt"})
