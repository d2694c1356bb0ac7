"""Who works on what: slots are lent out one by one, for a while, and never twice.

Each annotation that an item needs is a slot, a row made before anybody asks. A lease is an update of one open or
expired slot inside one write transaction, and the table's constraints forbid a second slot of an item to one
person: too many annotations of an item are impossible, not merely unlikely. Expiry takes nothing away: a slot
that nobody else took is still its owner's.

A claim looks at few slots however many there are: it goes on from where the user's last one ended (`_Cursors`), until
slots before that place become free again.
"""

import random
import secrets
import weakref
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, insert, or_, select, update

from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    BusyError,
    Database,
    Draft,
    LeaseError,
    Project,
    StorageError,
    queue_version,
    tables,
    touch_queue,
)
from spanwise.annotate.work.desk import Desk, Lease, SlotKey, at_desk
from spanwise.annotate.work.drafts import find_draft, renew_lease
from spanwise.annotate.work.gold import next_special, training_failed
from spanwise.annotate.work.suggestions import Suggestion, is_held_out, load_suggestions
from spanwise.core import derive_seed
from spanwise.feedback import Record

Rank = tuple[float, int, int]
_SLACK = 60.0  # seconds by which clocks may differ
_OWN = tables.slot.alias("own")  # an alias takes longer to make than a query takes to run


class Claim(Record):
    """A slot lent to a user."""

    item_id: str
    round: int
    k: int
    kind: Literal["normal", "gold", "train"]
    """Annotators must not learn which items are gold: tell them "train" or nothing."""
    lease_token: str
    lease_expires_at: str
    started_at: str | None
    response_order: tuple[str, ...]
    """The order in which the responses are shown when they are compared."""
    suggestions: tuple[Suggestion, ...]
    draft: Draft | None
    resumed: bool
    """Whether the user had this lease already."""


class NothingNow(Record):
    """There is no slot for this user at the moment; the rest says whether there will be, and why not."""

    leased_elsewhere: int
    next_free_at: str | None
    finished: bool
    """Whether nobody has anything left to do."""
    training_failed: bool
    too_many: int | None = None
    """How many items the user holds, where that is the most that one may."""


def claim(database: Database, project: Project, user: User, *, item_id: str | None = None) -> Claim | NothingNow:
    """The user's lease again, else the best slot that is free among items the user has not touched.

    With `item_id`, a slot of that item alone. Where the database takes nothing at the moment, what the user holds
    already is there to be read all the same.
    """
    require(user, "annotate")
    try:
        with at_desk(database, project, user) as desk:
            return _claimed(desk, item_id)
    except (StorageError, BusyError):
        with database.read() as connection:
            desk = Desk(connection, database, project, user)
            held = _own_lease(desk, item_id)
            if held is None:
                raise
            return claim_of(desk, held, resumed=True)


def _claimed(desk: Desk, item_id: str | None) -> Claim | NothingNow:
    held = _own_lease(desk, item_id, lock=True)
    if held is not None:
        desk.connection.execute(update(tables.slot).where(*slot_key(held)).values(lease_expires_at=desk.lease_end()))
        return claim_of(desk, _reloaded(desk.connection, held), resumed=True)
    holds = _holds(desk)
    if holds >= desk.project.config.leases_per_person:
        return NothingNow(leased_elsewhere=0, next_free_at=None, finished=False, training_failed=False, too_many=holds)
    failed = training_failed(desk.connection, desk.project, desk.user.id)
    row = None if failed else _free_slot(desk, item_id)
    if row is None:
        return _nothing(desk, failed=failed)
    _lend(desk, row)
    return claim_of(desk, _reloaded(desk.connection, row), resumed=False)


def renew(database: Database, project: Project, user: User, lease: Lease) -> str:
    """Prolongs a lease and says until when; raises LeaseError when it is gone."""
    with at_desk(database, project, user) as desk:
        _, expires_at = renew_lease(desk, lease)
    if expires_at is None:
        raise LeaseError("The item is no longer yours; what you typed is kept as a draft.", "taken")
    return expires_at


def release(database: Database, project: Project, user: User, lease: Lease) -> None:
    """Gives a lease back. The draft stays, should the user get the item again; raises LeaseError when it is gone."""
    with at_desk(database, project, user) as desk:
        row = held_slot(desk, lease.item_id, lease.round)
        if row is None or row["lease_token"] != lease.lease_token:
            raise LeaseError("The item is no longer yours, so there is nothing to give back.", "taken")
        values = {"lease_token": None, "lease_expires_at": None}
        if row["state"] == "leased":  # otherwise it was reopened, and stays as it was submitted
            values |= {"state": "open", "user_id": None, "started_at": None}
            touch_queue(desk.connection, desk.project)
        desk.connection.execute(update(tables.slot).where(*slot_key(row)).values(**values))
        desk.log("lease.released", lease.item_id, round=lease.round)


def expire(database: Database, project: Project, key: SlotKey, *, by: User) -> None:
    """A manager ends a lease at once: the slot can be claimed by others, the draft stays."""
    require(by, "manage")
    slot = tables.slot
    chosen = slot_key(key.model_dump()), (slot.c.project_id == project.id, slot.c.state == "leased")
    with at_desk(database, project, by) as desk:
        ended = update(slot).where(*chosen[0], *chosen[1]).values(lease_expires_at=database.later(-1))
        if not desk.connection.execute(ended).rowcount:
            raise LeaseError("This slot is not lent to anybody.", "unknown")
        desk.log("lease.ended", key.item_id, round=key.round, k=key.k)


def held_slot(desk: Desk, item_id: str, round_number: int) -> RowMapping | None:
    """The user's slot of an item, locked for the rest of the transaction."""
    slot = tables.slot
    own_slot = slot.c.item_id == item_id, slot.c.round == round_number, slot.c.user_id == desk.user.id
    return desk.connection.execute(select(slot).where(*own_slot).with_for_update()).mappings().first()


def open_slot(desk: Desk, item_id: str, round_number: int) -> RowMapping | None:
    """An open slot of an item that nobody else is just taking, locked."""
    slot = tables.slot
    free = slot.c.item_id == item_id, slot.c.round == round_number, slot.c.state == "open", slot.c.kind == "normal"
    query = select(slot).where(*free).order_by(slot.c.k).limit(1).with_for_update(skip_locked=True)
    return desk.connection.execute(query).mappings().first()


def lend_again(desk: Desk, row: RowMapping) -> RowMapping:
    """Opens a submitted or skipped slot for its owner, who keeps it: others cannot claim it."""
    values = {"lease_token": secrets.token_urlsafe(16), "lease_expires_at": desk.lease_end()}
    desk.connection.execute(update(tables.slot).where(*slot_key(row)).values(**values))
    return _reloaded(desk.connection, row)


def claim_of(desk: Desk, row: RowMapping, *, resumed: bool) -> Claim:
    """The claim that a lent slot is, with its draft and suggestions."""
    shown = ("item_id", "round", "k", "kind", "lease_token", "lease_expires_at", "started_at")
    return Claim(
        **{name: row[name] for name in shown},
        response_order=tuple(row["response_order"] or ()),
        suggestions=load_suggestions(desk.connection, row["item_id"]) if row["suggested"] else (),
        draft=find_draft(desk.connection, desk.user.id, row["item_id"], row["round"]),
        resumed=resumed,
    )


def slot_key(row: Any) -> tuple[ColumnElement[bool], ...]:
    """The condition that means this slot."""
    slot = tables.slot
    return slot.c.item_id == row["item_id"], slot.c.round == row["round"], slot.c.k == row["k"]


def _holds(desk: Desk) -> int:
    """How many items are lent to the user now."""
    slot = tables.slot
    mine = slot.c.user_id == desk.user.id, slot.c.state == "leased", slot.c.project_id == desk.project.id
    count = select(func.count()).select_from(slot).where(*mine, slot.c.lease_expires_at >= desk.database.now())
    return desk.connection.execute(count).scalar_one()


def _own_lease(desk: Desk, item_id: str | None, *, lock: bool = False) -> RowMapping | None:
    slot = tables.slot
    mine = slot.c.user_id == desk.user.id, slot.c.state == "leased", slot.c.project_id == desk.project.id
    query = select(slot).where(*mine)
    query = query if item_id is None else query.where(slot.c.item_id == item_id)
    query = query.order_by(slot.c.started_at.desc()).limit(1)
    query = query.with_for_update() if lock else query
    return desk.connection.execute(query).mappings().first()


def _free_slot(desk: Desk, item_id: str | None) -> RowMapping | None:
    special = next_special(desk.connection, desk.project, desk.user.id) if item_id is None else None
    if special is not None:
        return _special_slot(desk.connection, special)
    slot = tables.slot
    expired = _claimable(desk, and_(slot.c.state == "leased", is_over(desk)), item_id)
    rows = [row for row in (_open_slot(desk, item_id), _first(desk, expired)) if row is not None]
    return min(rows, key=lambda row: (*_rank(row)[:2], row["state"] != "open"), default=None)


def is_over(desk: Desk) -> ColumnElement[bool]:
    """The lease has ended, or ends later than any that is given now: then the clock was ahead when it was given."""
    end = tables.slot.c.lease_expires_at
    return or_(end < desk.database.now(), end > desk.database.later(desk.lease_seconds() + _SLACK))


def _open_slot(desk: Desk, item_id: str | None) -> RowMapping | None:
    query = _claimable(desk, tables.slot.c.state == "open", item_id)
    if item_id is not None:
        return _first(desk, query)
    cursors = _cursors(desk.database)
    version = queue_version(desk.connection, desk.project)
    begin = cursors.get(desk.project.id, desk.user.id, version)
    parts = [query.where(*part) for part in _from(begin)] if begin else []
    if begin is None or desk.database.dialect == "postgresql":  # there, slots that others just took and gave back
        parts.append(query)
    row = next(filter(None, (_first(desk, part) for part in parts)), None)
    if row is not None:
        cursors.put(desk.project.id, desk.user.id, version, _rank(row))
    return row


def _first(desk: Desk, query: Select[Any]) -> RowMapping | None:
    return desk.connection.execute(query.limit(1).with_for_update(skip_locked=True)).mappings().first()


def _rank(row: RowMapping) -> Rank:
    """The least is lent first."""
    return -row["priority"], row["position"], row["k"]


def _from(rank: Rank) -> tuple[tuple[ColumnElement[bool], ...], ...]:
    """Slots that are not before this place in the queue, in two parts, for each of which the index has a beginning."""
    slot, (priority, position, _) = tables.slot, rank
    return (slot.c.priority == -priority, slot.c.position >= position), (slot.c.priority < -priority,)


def names_of(desk: Desk) -> list[str]:
    """What the user is called in assignments: the user's id, and the groups with an "@" before them."""
    membership = tables.membership
    groups = select(membership.c.group_name).where(membership.c.user_id == desk.user.id)
    return [desk.user.id, *(f"@{name}" for name in desk.connection.execute(groups).scalars())]


@dataclass
class _Cursors:
    """How far each user has come in the queue, and in which version of it; only a memory of this process."""

    places: dict[tuple[str, str], tuple[int, Rank]] = field(default_factory=dict[tuple[str, str], tuple[int, Rank]])

    def get(self, project_id: str, user_id: str, version: int) -> Rank | None:
        """Where to look on; None where slots have become free since, or nothing is known."""
        known, rank = self.places.get((project_id, user_id), (None, None))
        return rank if known == version else None

    def put(self, project_id: str, user_id: str, version: int, rank: Rank) -> None:
        """Remembers that nothing before this place is free for the user."""
        self.places[project_id, user_id] = (version, rank)


_by_database: "weakref.WeakKeyDictionary[Database, _Cursors]" = weakref.WeakKeyDictionary()


def _cursors(database: Database) -> _Cursors:
    return _by_database.setdefault(database, _Cursors())


def _claimable(desk: Desk, state: ColumnElement[bool], item_id: str | None) -> Select[Any]:
    """Slots in `state` of items that the user has neither a slot nor an annotation of, the best first."""
    slot, own_slot, annotation = tables.slot, _OWN, tables.annotation
    same = own_slot.c.item_id == slot.c.item_id, own_slot.c.round == slot.c.round, own_slot.c.user_id == desk.user.id
    done = (
        annotation.c.item_id == slot.c.item_id,
        annotation.c.round == slot.c.round,
        annotation.c.user_id == desk.user.id,
    )
    assigned = select(tables.assignment.c.who).where(tables.assignment.c.item_id == slot.c.item_id)
    query = (
        select(slot)
        .where(slot.c.project_id == desk.project.id, state, slot.c.kind == "normal")
        .where(or_(~assigned.exists(), assigned.where(tables.assignment.c.who.in_(names_of(desk))).exists()))
        .where(~select(own_slot.c.k).where(*same).exists(), ~select(annotation.c.id).where(*done).exists())
        .order_by(slot.c.priority.desc(), slot.c.position, slot.c.k)
    )
    return query if item_id is None else query.where(slot.c.item_id == item_id)


def _special_slot(connection: Connection, item: RowMapping) -> RowMapping:
    """A slot of a gold or training item, made for the one who gets it."""
    slot = tables.slot
    of_item = slot.c.item_id == item["id"], slot.c.round == item["round"]
    last = connection.execute(select(func.max(slot.c.k)).where(*of_item)).scalar_one()
    row = {name: item[name] for name in ("project_id", "round", "priority", "position")}
    row |= {"item_id": item["id"], "k": 0 if last is None else last + 1, "kind": item["purpose"]}
    connection.execute(insert(slot).values(**row, state="open", suggested=False))
    return connection.execute(select(slot).where(*slot_key(row))).mappings().one()


def _lend(desk: Desk, row: RowMapping) -> None:
    config = desk.project.config
    suggested = config.suggestions != "off" and row["kind"] != "train"  # gold items are like all others
    values = {
        "state": "leased",
        "user_id": desk.user.id,
        "lease_token": secrets.token_urlsafe(16),
        "lease_expires_at": desk.lease_end(),
        "started_at": desk.database.now(),
        "response_order": _order(desk, row["item_id"]),
        "suggested": suggested and not is_held_out(row["item_id"], config.suggestion_holdout),
    }
    desk.connection.execute(update(tables.slot).where(*slot_key(row)).values(**values))
    told = {"round": row["round"], "k": row["k"]}
    if row["user_id"]:
        desk.log("lease.passed_on", row["item_id"], before=row["user_id"], **told)
    desk.log("lease.claimed", row["item_id"], **told)


def _order(desk: Desk, item_id: str) -> list[str]:
    """The responses in an order of their own for each person and item, the same however often it is asked for."""
    responses = tables.response.c.item_id == item_id
    count = desk.connection.execute(select(func.count()).select_from(tables.response).where(responses)).scalar_one()
    keys = [f"r{number + 1}" for number in range(count)]
    random.Random(derive_seed(0, f"response-order/{item_id}/{desk.user.id}")).shuffle(keys)
    return keys


def _reloaded(connection: Connection, row: RowMapping) -> RowMapping:
    return connection.execute(select(tables.slot).where(*slot_key(row))).mappings().one()


def _nothing(desk: Desk, *, failed: bool) -> NothingNow:
    slot = tables.slot
    leased = and_(slot.c.state == "leased", slot.c.user_id != desk.user.id)
    others = _claimable(desk, leased, None).order_by(None).subquery()
    counted = select(func.count(), func.min(others.c.lease_expires_at)).select_from(others)
    count, next_free_at = desk.connection.execute(counted).one()
    waiting = slot.c.project_id == desk.project.id, slot.c.kind == "normal", slot.c.state.in_(("open", "leased"))
    finished = desk.connection.execute(select(slot.c.k).where(*waiting).limit(1)).first() is None
    return NothingNow(leased_elsewhere=count, next_free_at=next_free_at, finished=finished, training_failed=failed)
