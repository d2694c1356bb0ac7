"""Who may have which items: people and groups, and skipped items offered again."""

import re
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from spanwise.annotate.people import User, get_user, name_key, require
from spanwise.annotate.store import Database, Project, UnknownError, tables, touch_queue
from spanwise.annotate.work import Desk, at_desk
from spanwise.core import DataError

MOST = 50
"""How many people may annotate one item."""
_GROUP = re.compile(r"[\w-]{1,60}")


def reopen_skipped(database: Database, project: Project, item_id: str, *, by: User) -> int:
    """Offers the skipped slots of an item to others; those who skipped it are not asked again. Returns how many."""
    require(by, "manage")
    slot = tables.slot
    free = {"state": "open", "user_id": None, "started_at": None, "response_order": None}
    with at_desk(database, project, by) as desk:
        item_row(desk, item_id)
        skipped = slot.c.item_id == item_id, slot.c.state == "skipped"
        count = desk.connection.execute(update(slot).where(*skipped).values(**free)).rowcount
        touch_queue(desk.connection, project)
        desk.log("item.offered_again", item_id, slots=count)
    return count


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


def groups_of(database: Database) -> dict[str, tuple[str, ...]]:
    """The groups of each user who is in any, by the user's id."""
    membership = tables.membership
    query = select(membership.c.user_id, membership.c.group_name).order_by(membership.c.group_name)
    groups: dict[str, tuple[str, ...]] = {}
    with database.read() as connection:
        for row in connection.execute(query):
            groups[row.user_id] = (*groups.get(row.user_id, ()), row.group_name)
    return groups


def assigned_to(database: Database, item_id: str) -> tuple[str, ...]:
    """Who alone may have an item: names of users, and of groups with an "@" before them; empty for everybody."""
    assignment = tables.assignment
    with database.read() as connection:
        who: list[str] = list(
            connection.execute(select(assignment.c.who).where(assignment.c.item_id == item_id)).scalars()
        )
        names = names_of(connection, who)
    return tuple(sorted(names.get(one, one) for one in who))


def names_of(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Names of users by their ids."""
    user = tables.user
    rows = connection.execute(select(user.c.id, user.c.name).where(user.c.id.in_(ids)))
    return {str(row.id): str(row.name) for row in rows}


def assignees(desk: Desk, names: Sequence[str]) -> list[str]:
    """How the table calls users and groups; raises UnknownError for an unknown one."""
    return sorted({_assignee(desk, name) for name in names})


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


def item_row(desk: Desk, item_id: str) -> RowMapping:
    """The row of an item of the project, locked; raises UnknownError."""
    item = tables.item
    chosen = select(item).where(item.c.id == item_id, item.c.project_id == desk.project.id).with_for_update()
    row = desk.connection.execute(chosen).mappings().first()
    if row is None:
        raise UnknownError(f"There is no item {item_id!r:.60} in this project.")
    return row
