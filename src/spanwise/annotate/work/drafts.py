"""Drafts: what somebody is typing, saved as it grows, under a revision that only ever rises by one.

A draft belongs to a person, an item and a round, and outlives the lease it was begun under. The server reads
nothing of it until submit, but for its size. Two tabs that save over each other meet a conflict, never a loss.
"""

import json
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import Connection, Row, bindparam, insert, select, update

from spanwise.annotate.people import User, require
from spanwise.annotate.store import Database, Draft, DraftConflictError, Project, UnknownError, tables
from spanwise.annotate.work.desk import ClientId, Desk, Lease, at_desk
from spanwise.core import DataError
from spanwise.feedback import Index, Record

LARGEST = 5_000_000
"""Characters of a draft's JSON."""

LeaseState = Literal["held", "taken", "submitted"]

# Statements are made once: making one takes longer than running it.
_MINE, _OWN = (
    (
        table.c.item_id == bindparam("of_item"),
        table.c.round == bindparam("of_round"),
        table.c.user_id == bindparam("of_user"),
    )
    for table in (tables.draft, tables.slot)
)
_FIND, _ADD, _CHANGE = select(tables.draft).where(*_MINE), insert(tables.draft), update(tables.draft).where(*_MINE)
_HEAD = select(tables.draft.c.rev, tables.draft.c.updated_at, tables.draft.c.save_id).where(*_MINE)
_RENEW = update(tables.slot).where(*_OWN, tables.slot.c.lease_token == bindparam("token"))
_LENT = select(tables.slot.c.lease_token).where(*_OWN)


class Save(Lease):
    """What a page sends to save."""

    base_rev: Index
    """The revision that the page began from; 0 when there was none."""
    document: dict[str, Any] = Field(description="The draft, of which the server reads nothing.")
    save_id: ClientId | None = None
    """Made by the page once per save: a save whose answer was lost is known by it when it comes again."""


class Saved(Record):
    """The acknowledgement: revision `rev` is on the disk."""

    rev: int
    updated_at: str
    lease: LeaseState
    """Whether the item is still the user's, somebody else's, or submitted; the draft is kept in each case."""
    lease_expires_at: str | None


def save_draft(database: Database, project: Project, user: User, save: Save) -> Saved:
    """Saves a draft and thereby renews the lease.

    Raises DraftConflictError with the present draft when another tab saved since `base_rev`, UnknownError when the user
    never had the item. The same save sent twice is acknowledged twice.
    """
    require(user, "annotate")
    check_size(save.document)
    with at_desk(database, project, user) as desk:
        rev, at = _write(desk, save)
        lease, expires_at = renew_lease(desk, save)
    return Saved(rev=rev, updated_at=at, lease=lease, lease_expires_at=expires_at)


def load_draft(database: Database, user: User, item_id: str, round_number: int) -> Draft | None:
    """The user's draft of an item."""
    with database.read() as connection:
        return find_draft(connection, user.id, item_id, round_number)


def find_draft(connection: Connection, user_id: str, item_id: str, round_number: int) -> Draft | None:
    """The same on an open connection."""
    row = connection.execute(_FIND, _key(user_id, item_id, round_number)).mappings().first()
    return Draft(**{name: row[name] for name in Draft.model_fields}) if row else None


def put_draft(
    desk: Desk, item_id: str, round_number: int, document: dict[str, Any], *, after: int, save_id: str | None = None
) -> Draft:
    """Writes the revision that follows `after`, which is 0 where there is no draft yet."""
    draft = Draft(rev=after + 1, document=document, updated_at=desk.database.now(), save_id=save_id)
    if after:
        desk.connection.execute(_CHANGE, _key(desk.user.id, item_id, round_number) | dict(draft))
    else:
        key = {"item_id": item_id, "round": round_number, "user_id": desk.user.id}
        desk.connection.execute(_ADD, key | dict(draft))
    return draft


def renew_lease(desk: Desk, lease: Lease) -> tuple[LeaseState, str | None]:
    """Prolongs the user's lease where it is still theirs, also after its time, as long as nobody took the slot."""
    key, expires_at = _key(desk.user.id, lease.item_id, lease.round), desk.lease_end()
    renewed = {"token": lease.lease_token, "lease_expires_at": expires_at}
    if desk.connection.execute(_RENEW, key | renewed).rowcount:
        return "held", expires_at
    row = desk.connection.execute(_LENT, key).first()
    return ("submitted" if row is not None and row.lease_token is None else "taken"), None


def _write(desk: Desk, save: Save) -> tuple[int, str]:
    head = _head(desk, save.item_id, save.round)
    rev = head.rev if head else 0
    if head and _is_repeated(desk, save, head):
        return rev, head.updated_at  # the acknowledgement was lost on its way, and the page asks again
    if rev != save.base_rev:
        current = find_draft(desk.connection, desk.user.id, save.item_id, save.round)
        if current:
            raise DraftConflictError(current)
        raise DataError(f"There is no revision {save.base_rev} of this draft; save from revision 0.")
    if head is None and not desk.had(save.item_id, save.round):
        raise UnknownError(
            f"The item {save.item_id!r:.60} in round {save.round} was never yours; ask for the next one."
        )
    draft = put_draft(desk, save.item_id, save.round, save.document, after=rev, save_id=save.save_id)
    return draft.rev, draft.updated_at


def _head(desk: Desk, item_id: str, round_number: int) -> Row[Any, Any, Any] | None:
    """Revision, time and save of the user's draft, without its document."""
    return desk.connection.execute(_HEAD, _key(desk.user.id, item_id, round_number)).first()


def _is_repeated(desk: Desk, save: Save, head: Row[Any, Any, Any]) -> bool:
    if save.save_id is not None and save.save_id == head.save_id:
        return True
    if head.rev != save.base_rev + 1:
        return False
    current = find_draft(desk.connection, desk.user.id, save.item_id, save.round)
    return current is not None and current.document == save.document


def check_size(document: dict[str, Any]) -> None:
    """Raises DataError for a draft that is too large, or no JSON."""
    try:
        size = len(json.dumps(document, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise DataError(f"The draft cannot be stored ({error}); send plain values.") from error
    if size > LARGEST:
        raise DataError(f"The draft has {size:,} characters; {LARGEST:,} are allowed.")


def _key(user_id: str, item_id: str, round_number: int) -> dict[str, Any]:
    return {"of_user": user_id, "of_item": item_id, "of_round": round_number}
