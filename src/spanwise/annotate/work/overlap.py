"""How many annotations an item still gets: more slots, fewer slots, skipped slots given out again."""

from sqlalchemy import RowMapping, delete, insert, select, update

from spanwise.annotate.people import User, require
from spanwise.annotate.store import Database, Project, UnknownError, open_slots, tables, touch_queue
from spanwise.annotate.work.desk import Desk, at_desk
from spanwise.annotate.work.queue import slot_key
from spanwise.core import DataError

MOST = 50


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


def _item(desk: Desk, item_id: str) -> RowMapping:
    item = tables.item
    chosen = select(item).where(item.c.id == item_id, item.c.project_id == desk.project.id).with_for_update()
    row = desk.connection.execute(chosen).mappings().first()
    if row is None:
        raise UnknownError(f"There is no item {item_id!r:.60} in this project.")
    return row
