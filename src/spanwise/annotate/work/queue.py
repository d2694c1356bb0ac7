"""Who works on what: slots are lent out one by one, for a while, and never twice.

Each annotation that an item needs is a slot, a row made before anybody asks. A lease is an update of one open or
expired slot inside one write transaction, and the table's constraints forbid a second slot of an item to one
person: too many annotations of an item are impossible, not merely unlikely. Expiry takes nothing away: a slot
that nobody else took is still its owner's.

A claim looks at few slots however many there are: it goes on from where the user's last one ended (`_Cursors`), until
slots before that place become free again.
"""

import functools
import random
import secrets
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    RowMapping,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

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
_SLOT = tables.slot
_CHANGE = update(_SLOT).where(
    _SLOT.c.item_id == bindparam("of_item"), _SLOT.c.round == bindparam("of_round"), _SLOT.c.k == bindparam("of_k")
)
_GROUPS = select(tables.membership.c.group_name).where(tables.membership.c.user_id == bindparam("user"))
_RESPONSES = select(func.count()).select_from(tables.response).where(tables.response.c.item_id == bindparam("item"))
_SLACK = 60.0  # seconds by which clocks may differ
_Kind = Literal["open", "beside", "behind", "expired", "others"]
"""Open slots: all, those beside a place in the queue, those behind it; leased ones: run out, or those of others."""
_ALWAYS = {"project", "user", "names"}
_NEEDED: dict[_Kind, set[str]] = {
    "open": _ALWAYS, "beside": {*_ALWAYS, "priority", "position"}, "behind": {*_ALWAYS, "priority"},
    "expired": {*_ALWAYS, "now", "latest"}, "others": _ALWAYS,
}  # fmt: skip


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
            held = [row for row in _own_leases(desk) if item_id in (None, row["item_id"])]
            if not held:
                raise
            return claim_of(desk, held[0], resumed=True)


def _claimed(desk: Desk, item_id: str | None) -> Claim | NothingNow:
    leases = _own_leases(desk, lock=True)
    held = next((row for row in leases if item_id in (None, row["item_id"])), None)
    if held is not None:
        end = {"lease_expires_at": desk.lease_end()}
        change_slot(desk.connection, held, end)
        return claim_of(desk, {**held, **end}, resumed=True)
    holds = sum(row["lease_expires_at"] >= desk.database.now() for row in leases)
    if holds >= desk.project.config.leases_per_person:
        return NothingNow(leased_elsewhere=0, next_free_at=None, finished=False, training_failed=False, too_many=holds)
    failed = training_failed(desk.connection, desk.project, desk.user.id)
    row = None if failed else _free_slot(desk, item_id)
    if row is None:
        return _nothing(desk, failed=failed)
    return claim_of(desk, {**row, **_lend(desk, row)}, resumed=False)


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
        change_slot(desk.connection, row, values)
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
    change_slot(desk.connection, row, values)
    return _reloaded(desk.connection, row)


def claim_of(desk: Desk, row: Mapping[Any, Any], *, resumed: bool) -> Claim:
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


def change_slot(connection: Connection, row: Any, values: Mapping[str, Any]) -> None:
    """Changes columns of this slot."""
    key = {"of_item": row["item_id"], "of_round": row["round"], "of_k": row["k"]}
    connection.execute(_CHANGE, {**key, **values})


def _own_leases(desk: Desk, *, lock: bool = False) -> Sequence[RowMapping]:
    """What is lent to the user, the latest first; what has run out as well, as long as nobody took it."""
    known = {"user": desk.user.id, "project": desk.project.id}
    return desk.connection.execute(_leases_of(lock=lock), known).mappings().all()


@functools.cache
def _leases_of(*, lock: bool) -> Select[Any]:
    mine = _SLOT.c.user_id == bindparam("user"), _SLOT.c.project_id == bindparam("project"), _SLOT.c.state == "leased"
    query = select(_SLOT).where(*mine).order_by(_SLOT.c.started_at.desc())
    return query.with_for_update() if lock else query


def _free_slot(desk: Desk, item_id: str | None) -> RowMapping | None:
    special = next_special(desk.connection, desk.project, desk.user.id) if item_id is None else None
    if special is not None:
        return _special_slot(desk.connection, special)
    asked = _asked(desk, item_id)
    rows = [row for row in (_open_slot(desk, asked), _first(desk, "expired", asked)) if row is not None]
    return min(rows, key=lambda row: (*_rank(row)[:2], row["state"] != "open"), default=None)


def _asked(desk: Desk, item_id: str | None) -> dict[str, Any]:
    """What the queries of `_claimable` must be told."""
    groups = desk.connection.execute(_GROUPS, {"user": desk.user.id}).scalars()
    latest = desk.database.later(desk.lease_seconds() + _SLACK)
    return {
        "project": desk.project.id, "user": desk.user.id, "item": item_id, "now": desk.database.now(), "latest": latest,
        "names": [desk.user.id, *(f"@{name}" for name in groups)],
    }  # fmt: skip


def _open_slot(desk: Desk, asked: dict[str, Any]) -> RowMapping | None:
    if asked["item"] is not None:
        return _first(desk, "open", asked)
    cursors = _cursors(desk.database)
    version = queue_version(desk.connection, desk.project)
    begin = cursors.get(desk.project.id, desk.user.id, version)
    kinds: list[_Kind] = [] if begin is None else ["beside", "behind"]
    if begin is None or desk.database.dialect == "postgresql":  # there, slots that others just took and gave back
        kinds.append("open")
    place = {} if begin is None else {"priority": -begin[0], "position": begin[1]}
    row = next(filter(None, (_first(desk, kind, asked | place) for kind in kinds)), None)
    if row is not None:
        cursors.put(desk.project.id, desk.user.id, version, _rank(row))
    return row


def _first(desk: Desk, kind: _Kind, asked: dict[str, Any]) -> RowMapping | None:
    query = _claimable(kind, one_item=asked["item"] is not None)
    used = {name: value for name, value in asked.items() if name in _NEEDED[kind] or (name == "item" and value)}
    return desk.connection.execute(query, used).mappings().first()


def _rank(row: RowMapping) -> Rank:
    """The least is lent first."""
    return -row["priority"], row["position"], row["k"]


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


@functools.cache
def _claimable(kind: _Kind, *, one_item: bool = False) -> Select[Any]:
    """Slots of one kind, of items that the user has neither a slot nor an annotation of and may have, the best first.

    Made once each: making such a query takes longer than running it.
    """
    slot, own_slot, annotation, assignment = tables.slot, tables.slot.alias("own"), tables.annotation, tables.assignment
    user = bindparam("user")
    same = own_slot.c.item_id == slot.c.item_id, own_slot.c.round == slot.c.round, own_slot.c.user_id == user
    done = annotation.c.item_id == slot.c.item_id, annotation.c.round == slot.c.round, annotation.c.user_id == user
    assigned = select(assignment.c.who).where(assignment.c.item_id == slot.c.item_id)
    mine = assigned.where(assignment.c.who.in_(bindparam("names", expanding=True)))
    query = (
        select(slot)
        .where(slot.c.project_id == bindparam("project"), slot.c.kind == "normal", *_in_kind(kind))
        .where(or_(~assigned.exists(), mine.exists()))
        .where(~select(own_slot.c.k).where(*same).exists(), ~select(annotation.c.id).where(*done).exists())
        .order_by(slot.c.priority.desc(), slot.c.position, slot.c.k)
    )
    query = query.where(slot.c.item_id == bindparam("item")) if one_item else query
    return query if kind == "others" else query.limit(1).with_for_update(skip_locked=True)


def _in_kind(kind: _Kind) -> tuple[ColumnElement[bool], ...]:
    slot = tables.slot
    priority, end = bindparam("priority", type_=Float), slot.c.lease_expires_at
    if kind in ("open", "beside", "behind"):  # of which the last two have a beginning in the index
        behind = (slot.c.priority == priority, slot.c.position >= bindparam("position"))
        place = {"open": (), "beside": behind, "behind": (slot.c.priority < priority,)}[kind]
        return slot.c.state == "open", *place
    if kind == "expired":  # or given while the clock was ahead: no lease ends that late now
        return slot.c.state == "leased", or_(end < bindparam("now"), end > bindparam("latest"))
    return slot.c.state == "leased", slot.c.user_id != bindparam("user")


def _special_slot(connection: Connection, item: RowMapping) -> RowMapping:
    """A slot of a gold or training item, made for the one who gets it."""
    slot = tables.slot
    of_item = slot.c.item_id == item["id"], slot.c.round == item["round"]
    last = connection.execute(select(func.max(slot.c.k)).where(*of_item)).scalar_one()
    row = {name: item[name] for name in ("project_id", "round", "priority", "position")}
    row |= {"item_id": item["id"], "k": 0 if last is None else last + 1, "kind": item["purpose"]}
    connection.execute(insert(slot).values(**row, state="open", suggested=False))
    return connection.execute(select(slot).where(*slot_key(row))).mappings().one()


def _lend(desk: Desk, row: RowMapping) -> dict[str, Any]:
    """Lends a slot to the user; what of it has changed by that."""
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
    change_slot(desk.connection, row, values)
    told = {"round": row["round"], "k": row["k"]}
    if row["user_id"]:
        desk.log("lease.passed_on", row["item_id"], before=row["user_id"], **told)
    desk.log("lease.claimed", row["item_id"], **told)
    return values


def _order(desk: Desk, item_id: str) -> list[str]:
    """The responses in an order of their own for each person and item, the same however often it is asked for."""
    count = desk.connection.execute(_RESPONSES, {"item": item_id}).scalar_one()
    keys = [f"r{number + 1}" for number in range(count)]
    random.Random(derive_seed(0, f"response-order/{item_id}/{desk.user.id}")).shuffle(keys)
    return keys


def _reloaded(connection: Connection, row: RowMapping) -> RowMapping:
    return connection.execute(select(tables.slot).where(*slot_key(row))).mappings().one()


def _nothing(desk: Desk, *, failed: bool) -> NothingNow:
    slot = tables.slot
    others = _claimable("others").order_by(None).subquery()
    counted = select(func.count(), func.min(others.c.lease_expires_at)).select_from(others)
    asked = _asked(desk, None)
    count, next_free_at = desk.connection.execute(counted, {name: asked[name] for name in _NEEDED["others"]}).one()
    waiting = slot.c.project_id == desk.project.id, slot.c.kind == "normal", slot.c.state.in_(("open", "leased"))
    finished = desk.connection.execute(select(slot.c.k).where(*waiting).limit(1)).first() is None
    return NothingNow(leased_elsewhere=count, next_free_at=next_free_at, finished=finished, training_failed=failed)
