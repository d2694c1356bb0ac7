"""Changes of many items at once, each of which can be taken back.

What stood before is kept in the audit trail, beside what was done; changes are taken back in turn, the last one first,
so that none brings back what a later one replaced.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from spanwise.annotate.manage.assignments import MOST, assignees, item_row, names_of
from spanwise.annotate.manage.listing import ItemFilter, find_items
from spanwise.annotate.people import User, require
from spanwise.annotate.store import Database, Project, UnknownError, new_id, open_slots, tables, touch_queue
from spanwise.annotate.work import Desk, at_desk, slot_key
from spanwise.core import DataError
from spanwise.feedback import Record

_AT_ONCE = 500
_MOST_CHANGES = 1000  # that are looked through to take one back
DONE, UNDONE = "items.changed", "items.change_taken_back"


class Change(Record):
    """What many items get; what is None stays as it is."""

    names: tuple[str, ...] | None = None
    """Who alone may have them: names of users, and of groups with an "@" before them; nobody in it means everybody."""
    overlap: Annotated[int, Field(ge=1, le=MOST)] | None = None
    priority: Annotated[float, Field(ge=-1e6, le=1e6)] | None = None


class ChangeRow(Record):
    """A change that was made."""

    id: str
    at: str
    by: str | None
    items: int
    change: Change
    undone: bool


def assign(database: Database, project: Project, item_ids: Sequence[str], names: Sequence[str], *, by: User) -> None:
    """Lets these people alone have the items: names of users, and of groups with an "@" before them; without any, all.

    Nobody's work is taken away. Raises UnknownError for an unknown item, user or group.
    """
    require(by, "manage")
    with at_desk(database, project, by) as desk:
        who = assignees(desk, names)
        for item_id in item_ids:
            item_row(desk, item_id)
            desk.log("item.assigned", item_id, to=list(names))
        _keep_for(desk, dict.fromkeys(item_ids, who))
        touch_queue(desk.connection, project)


def set_overlap(database: Database, project: Project, item_id: str, overlap: int, *, by: User) -> None:
    """Gives an item `overlap` slots: raising adds open ones, lowering takes open ones away and nobody's work."""
    require(by, "manage")
    if not 1 <= overlap <= MOST:
        raise DataError(f"An item is annotated by 1 to {MOST} people, not {overlap}.")
    with at_desk(database, project, by) as desk:
        before = item_row(desk, item_id)["overlap"]
        _set_overlaps(desk, [item_id], overlap)
        touch_queue(desk.connection, project)
        desk.log("item.overlap", item_id, before=before, after=overlap)


def change_items(database: Database, project: Project, chosen: ItemFilter, change: Change, *, by: User) -> ChangeRow:
    """Changes all chosen items, 10,000 at most, in one transaction; nobody's work is taken away.

    Raises DataError where nothing is to be changed, UnknownError for an unknown user or group.
    """
    require(by, "manage")
    if change == Change():
        raise DataError("Nothing is to be changed; give people, a number of annotators or a priority.")
    with at_desk(database, project, by) as desk:
        ids = find_items(desk.connection, database, project, chosen)
        who = None if change.names is None else assignees(desk, change.names)
        before: dict[str, dict[str, Any]] = {}
        for some in _in_pieces(ids):
            before |= _present(desk, some, change)
            _put(desk, {item_id: _wanted(change, who) for item_id in some})
        touch_queue(desk.connection, project)
        row = ChangeRow(id=new_id(), at=database.now(), by=by.name, items=len(ids), change=change, undone=False)
        desk.log(DONE, row.id, project=project.id, change=change.model_dump(mode="json"), before=before)
    return row


def take_change_back(database: Database, project: Project, change_id: str, *, by: User) -> int:
    """Gives the items of a change what they had before; returns how many there still are.

    Raises UnknownError, and DataError while a later change stands.
    """
    require(by, "manage")
    with at_desk(database, project, by) as desk:
        rows = _changes_in(desk.connection, project, _MOST_CHANGES)
        standing = [row for row in rows if not row["undone"]]
        row = next((row for row in rows if row["subject"] == change_id), None)
        if row is None:
            raise UnknownError(f"There is no change {change_id!r:.60}.")
        if row["undone"]:
            raise DataError("This change was taken back already.")
        if standing[0]["subject"] != change_id:
            raise DataError("A later change stands; take that one back first.")
        before: dict[str, dict[str, Any]] = row["data"]["before"]
        there = 0
        for some in _in_pieces(list(before)):
            known = set(desk.connection.execute(select(tables.item.c.id).where(tables.item.c.id.in_(some))).scalars())
            _put(desk, {item_id: before[item_id] for item_id in some if item_id in known})
            there += len(known)
        touch_queue(desk.connection, project)
        desk.log(UNDONE, change_id, items=there)
    return there


def list_changes(database: Database, project: Project, *, limit: int = 20) -> tuple[ChangeRow, ...]:
    """The last changes, newest first."""
    with database.read() as connection:
        rows = _changes_in(connection, project, limit)
        names = names_of(connection, {row["user_id"] for row in rows if row["user_id"]})
    return tuple(
        ChangeRow(
            id=row["subject"],
            at=row["at"],
            by=names.get(row["user_id"] or ""),
            items=len(row["data"]["before"]),
            change=Change.model_validate(row["data"]["change"]),
            undone=row["undone"],
        )
        for row in rows
    )


def _in_pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _changes_in(connection: Connection, project: Project, limit: int) -> list[dict[str, Any]]:
    event = tables.event
    undone = select(event.c.subject).where(event.c.kind == UNDONE)
    query = select(event).where(event.c.kind == DONE).order_by(event.c.seq.desc()).limit(limit)
    gone = set(connection.execute(undone).scalars())
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [row | {"undone": row["subject"] in gone} for row in rows if row["data"]["project"] == project.id]


def _wanted(change: Change, who: Sequence[str] | None) -> dict[str, Any]:
    wanted = {"who": who, "overlap": change.overlap, "priority": change.priority}
    return {name: value for name, value in wanted.items() if value is not None}


def _present(desk: Desk, ids: Sequence[str], change: Change) -> dict[str, dict[str, Any]]:
    """What the items have now of that which is to be changed."""
    item, assignment = tables.item, tables.assignment
    rows = desk.connection.execute(select(item).where(item.c.id.in_(ids))).mappings()
    names = [name for name in ("overlap", "priority") if getattr(change, name) is not None]
    present: dict[str, dict[str, Any]] = {row["id"]: {name: row[name] for name in names} for row in rows}
    if change.names is not None:
        for of_item in present.values():
            of_item["who"] = []
        for row in desk.connection.execute(select(assignment).where(assignment.c.item_id.in_(ids))).mappings():
            present[row["item_id"]]["who"].append(row["who"])
    return present


def _put(desk: Desk, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Gives each item what is wanted of it."""
    assigned = {item_id: values["who"] for item_id, values in wanted.items() if "who" in values}
    _keep_for(desk, assigned)
    for priority, ids in _by_value(wanted, "priority"):
        for table, key in ((tables.item, "id"), (tables.slot, "item_id")):
            desk.connection.execute(update(table).where(table.c[key].in_(ids)).values(priority=priority))
    for overlap, ids in _by_value(wanted, "overlap"):
        _set_overlaps(desk, ids, overlap)


def _by_value(wanted: Mapping[str, Mapping[str, Any]], name: str) -> Iterable[tuple[Any, list[str]]]:
    by_value: dict[Any, list[str]] = defaultdict(list)
    for item_id, values in wanted.items():
        if name in values:
            by_value[values[name]].append(item_id)
    return by_value.items()


def _keep_for(desk: Desk, assigned: Mapping[str, Sequence[str]]) -> None:
    """Keeps each item for some alone, given as the table says them; for nobody in particular where there are none."""
    assignment = tables.assignment
    if not assigned:
        return
    desk.connection.execute(delete(assignment).where(assignment.c.item_id.in_(list(assigned))))
    rows = [{"item_id": item_id, "who": one} for item_id, who in assigned.items() for one in who]
    if rows:
        desk.connection.execute(insert(assignment), rows)


def _set_overlaps(desk: Desk, ids: Sequence[str], overlap: int) -> None:
    """Gives items so many slots: raising adds open ones, lowering takes open ones away and nobody's work."""
    item, slot = tables.item, tables.slot
    rows = desk.connection.execute(select(item).where(item.c.id.in_(ids)).with_for_update()).mappings().all()
    kept: dict[str, list[RowMapping]] = {row["id"]: [] for row in rows}
    of_items = slot.c.item_id.in_(ids), slot.c.kind == "normal"
    query = select(slot).where(*of_items).order_by(slot.c.item_id, slot.c.k).with_for_update()
    for row in desk.connection.execute(query).mappings():
        kept[row["item_id"]].append(row)
    added: list[dict[str, Any]] = []
    for row in rows:
        slots = [one for one in kept[row["id"]] if one["round"] == row["round"]]
        for surplus in [one for one in reversed(slots) if one["state"] == "open"][: max(0, len(slots) - overlap)]:
            desk.connection.execute(delete(slot).where(*slot_key(surplus)))
        first = max((one["k"] for one in slots), default=-1) + 1
        added += open_slots(row, range(first, first + overlap - len(slots)))
    if added:
        desk.connection.execute(insert(slot), added)
    desk.connection.execute(update(item).where(item.c.id.in_(ids)).values(overlap=overlap))
