"""How many annotations an item still gets, and of whom: more or fewer slots, skipped ones again, people and groups."""

import re
from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, insert, select, update

from spanwise.annotate.people import User, get_user, name_key, require
from spanwise.annotate.store import Database, Project, UnknownError, open_slots, tables, touch_queue
from spanwise.annotate.work.desk import Desk, at_desk
from spanwise.annotate.work.queue import slot_key
from spanwise.core import DataError

MOST = 50
_GROUP = re.compile(r"[\w-]{1,60}")


def set_overlap(database: Database, project: Project, item_id: str, overlap: int, *, by: User) -> None:
    """Gives an item `overlap` slots: raising adds open ones, lowering takes open ones away and nobody's work."""
    require(by, "manage")
    if not 1 <= overlap <= MOST:
        raise DataError(f"An item is annotated by 1 to {MOST} people, not {overlap}.")
    item, slot = tables.item, tables.slot
    with at_desk(database, project, by) as desk:
        row = _item(desk, item_id)
        of_item = slot.c.item_id == item_id, slot.c.round == row["round"], slot.c.kind == "normal"
        slots = (
            desk.connection.execute(select(slot).where(*of_item).order_by(slot.c.k).with_for_update()).mappings().all()
        )
        for surplus in [s for s in reversed(slots) if s["state"] == "open"][: max(0, len(slots) - overlap)]:
            desk.connection.execute(delete(slot).where(*slot_key(surplus)))
        first = max((s["k"] for s in slots), default=-1) + 1
        added = open_slots(row, range(first, first + overlap - len(slots)))
        if added:
            desk.connection.execute(insert(slot), added)
            touch_queue(desk.connection, project)
        desk.connection.execute(update(item).where(item.c.id == item_id).values(overlap=overlap))
        desk.log("item.overlap", item_id, before=row["overlap"], after=overlap)


def reopen_skipped(database: Database, project: Project, item_id: str, *, by: User) -> int:
    """Offers the skipped slots of an item to others; those who skipped it are not asked again. Returns how many."""
    require(by, "manage")
    slot = tables.slot
    free = {"state": "open", "user_id": None, "started_at": None, "response_order": None}
    with at_desk(database, project, by) as desk:
        _item(desk, item_id)
        skipped = slot.c.item_id == item_id, slot.c.state == "skipped"
        count = desk.connection.execute(update(slot).where(*skipped).values(**free)).rowcount
        touch_queue(desk.connection, project)
        desk.log("item.offered_again", item_id, slots=count)
    return count


def assign(database: Database, project: Project, item_ids: Sequence[str], names: Sequence[str], *, by: User) -> None:
    """Lets these people alone have the items: names of users, and of groups with an "@" before them; without any, all.

    Nobody's work is taken away. Raises UnknownError for an unknown item, user or group.
    """
    require(by, "manage")
    assignment = tables.assignment
    with at_desk(database, project, by) as desk:
        who = sorted({_assignee(desk, name) for name in names})
        for item_id in item_ids:
            _item(desk, item_id)
            desk.connection.execute(delete(assignment).where(assignment.c.item_id == item_id))
            if who:
                desk.connection.execute(insert(assignment), [{"item_id": item_id, "who": one} for one in who])
            desk.log("item.assigned", item_id, to=list(names))
        touch_queue(desk.connection, project)


def set_groups(database: Database, project: Project, name: str, groups: Sequence[str], *, by: User) -> None:
    """Makes a user a member of these groups and no others; a group exists while it has members."""
    require(by, "manage")
    user, membership = get_user(database, name), tables.membership
    wrong = [group for group in groups if not _GROUP.fullmatch(group)]
    if wrong:
        raise DataError(f"{wrong[0]!r:.60} is no name of a group; use letters, digits, hyphens and underscores.")
    with at_desk(database, project, by) as desk:
        desk.connection.execute(delete(membership).where(membership.c.user_id == user.id))
        rows = [{"group_name": group, "user_id": user.id} for group in sorted(set(groups))]
        if rows:
            desk.connection.execute(insert(membership), rows)
        touch_queue(desk.connection, project)
        desk.log("user.groups", user.id, groups=sorted(set(groups)))


def _assignee(desk: Desk, name: str) -> str:
    user, membership = tables.user, tables.membership
    group = name.startswith("@")
    known = (
        select(membership.c.group_name).where(membership.c.group_name == name[1:]).limit(1)
        if group
        else select(user.c.id).where(user.c.name_key == name_key(name))
    )
    found = desk.connection.execute(known).scalar_one_or_none()
    if found is None:
        raise UnknownError(f"There is no {'group' if group else 'user'} called {name.removeprefix('@')!r:.60}.")
    return f"@{found}" if group else found


def _item(desk: Desk, item_id: str) -> RowMapping:
    item = tables.item
    chosen = select(item).where(item.c.id == item_id, item.c.project_id == desk.project.id).with_for_update()
    row = desk.connection.execute(chosen).mappings().first()
    if row is None:
        raise UnknownError(f"There is no item {item_id!r:.60} in this project.")
    return row
