"""Submitting: a body becomes an annotation, once, however often and however late it is sent.

Everything is checked again on the server, in the light of the stored texts. What arrives after its slot passed to
somebody else is kept as `extra`. A change of a submitted annotation is a new version; nothing is overwritten.
"""

import json
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row, RowMapping, func, insert, or_, select

from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    AccessError,
    Annotation,
    Body,
    Database,
    Item,
    LeaseError,
    Project,
    SubmissionError,
    UnknownError,
    digest,
    get_item,
    is_superseded,
    load_annotation,
    new_id,
    store_body,
    tables,
)
from spanwise.annotate.work.desk import ClientId, Desk, Lease, at_desk
from spanwise.annotate.work.drafts import find_draft, put_draft
from spanwise.annotate.work.gold import Lesson, keep_score
from spanwise.annotate.work.queue import Claim, change_slot, claim_of, held_slot, lend_again, open_slot
from spanwise.annotate.work.validation import annotated_keys, parse_body, problems_of
from spanwise.feedback import Record
from spanwise.text import check_text

_KEPT = "Somebody else had taken the item meanwhile; your work is kept as an extra annotation."


class Submission(Lease):
    """What a page sends to submit."""

    client_submission_id: ClientId
    """Made by the page once per submission, so that sending twice does no harm."""
    body: dict[str, Any]
    active_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """How long the annotator was at work."""


class Receipt(Record):
    """The acknowledgement of a submission."""

    annotation_id: str
    version: int
    extra: bool
    submitted_at: str
    repeated: bool
    """Whether this very submission had arrived before."""
    message: str
    lesson: Lesson | None = None


class WorkRow(Record):
    """One submitted annotation in its author's list."""

    annotation_id: str
    item_id: str
    ext_id: str
    prompt: str
    round: int
    submitted_at: str
    version: int
    extra: bool
    skipped_reason: str | None


class WorkPage(Record):
    """One page of such a list."""

    total: int
    rows: tuple[WorkRow, ...]


def submit(database: Database, project: Project, user: User, submission: Submission) -> Receipt:
    """Makes an annotation of a submitted body.

    Raises SubmissionError when the body is not valid for its item, LeaseError when the user never had the item or
    has submitted it already. The same submission sent twice gives the same receipt.
    """
    require(user, "annotate")
    with database.read() as connection:
        earlier = _repeated(connection, user, submission.client_submission_id)
    if earlier is not None:
        return earlier
    item = get_item(database, project, submission.item_id)
    body = parse_body(submission.body)
    problems = problems_of(body, item, project)
    if problems:
        raise SubmissionError(tuple(problems))
    with at_desk(database, project, user) as desk:
        earlier = _repeated(desk.connection, user, submission.client_submission_id)
        return earlier or _accept(desk, submission, item, body)


def skip(database: Database, project: Project, user: User, lease: Lease, *, reason: str) -> None:
    """Puts an item aside for this user, with the reason; raises LeaseError when the lease is gone."""
    require(user, "annotate")
    check_text(reason, place="reason")
    with at_desk(database, project, user) as desk:
        slot = held_slot(desk, lease.item_id, lease.round)
        if slot is None or slot["state"] != "leased" or slot["lease_token"] != lease.lease_token:
            raise LeaseError("The item is no longer yours; there is nothing to skip.", "taken")
        row = _row(desk, slot, Body(), f"skip-{new_id()}") | {"skipped_reason": reason or "no reason given"}
        desk.connection.execute(insert(tables.annotation).values(**row))
        _close(desk, slot, "skipped")
        desk.log("item.skipped", lease.item_id, reason=reason)


def reopen(database: Database, project: Project, user: User, annotation_id: str) -> Claim:
    """Opens a submitted annotation of the user's again; the next submit makes a new version.

    The slot stays theirs, so nobody else can take it meanwhile. Raises UnknownError, AccessError, or LeaseError when
    there is a newer version.
    """
    require(user, "annotate")
    with at_desk(database, project, user) as desk:
        annotation = load_annotation(desk.connection, annotation_id)
        if annotation is None:
            raise UnknownError(f"There is no annotation {annotation_id!r:.60}.")
        if annotation.user_id != user.id or annotation.kind != "human":
            raise AccessError("Only its author reopens an annotation.")
        slot = held_slot(desk, annotation.item_id, annotation.round)
        if slot is None or annotation.extra or _is_replaced(desk, annotation):
            raise LeaseError("It holds no slot, or a newer version stands in its place; open that one.", "unknown")
        _restore_draft(desk, annotation)
        desk.log("annotation.reopened", annotation.item_id, annotation=annotation_id)
        return claim_of(desk, lend_again(desk, slot), resumed=True)


def my_work(
    database: Database, project: Project, user: User, *, query: str = "", offset: int = 0, limit: int = 50
) -> WorkPage:
    """The user's own annotations, the latest first; only those whose item or comment holds `query`, if anything."""
    annotation, item = tables.annotation, tables.item
    own_rows = (
        annotation.c.project_id == project.id,
        annotation.c.user_id == user.id,
        annotation.c.kind == "human",
        ~is_superseded(),
    )
    own = (
        select(annotation, item.c.ext_id, item.c.prompt).join(item, item.c.id == annotation.c.item_id).where(*own_rows)
    )
    if query:
        places = (item.c.ext_id, item.c.prompt, annotation.c.comment)
        own = own.where(or_(*(place.icontains(query, autoescape=True) for place in places)))
    newest = own.order_by(annotation.c.submitted_at.desc(), annotation.c.id.desc())
    with database.read() as connection:
        total = connection.execute(own.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()
        rows = connection.execute(newest.offset(offset).limit(min(limit, 200))).mappings().all()
    copied = ("item_id", "ext_id", "round", "submitted_at", "version", "extra", "skipped_reason")
    return WorkPage(
        total=total,
        rows=tuple(
            WorkRow(annotation_id=row["id"], prompt=row["prompt"][:200], **{name: row[name] for name in copied})
            for row in rows
        ),
    )


def _is_replaced(desk: Desk, annotation: Annotation) -> bool:
    current = _current(desk, annotation.item_id, annotation.round)
    return current is None or current.id != annotation.id


def _repeated(connection: Connection, user: User, client_id: str) -> Receipt | None:
    annotation = tables.annotation
    row = (
        connection.execute(select(annotation).where(annotation.c.client_submission_id == client_id)).mappings().first()
    )
    if row is None:
        return None
    if row["user_id"] != user.id:
        raise AccessError("This submission belongs to somebody else; reload the page.")
    return _receipt(row, repeated=True)


def _receipt(row: Any, *, repeated: bool, lesson: Lesson | None = None) -> Receipt:
    copied = {name: row[name] for name in ("version", "extra", "submitted_at")}
    message = _KEPT if row["extra"] else "Saved."
    return Receipt(annotation_id=row["id"], repeated=repeated, message=message, lesson=lesson, **copied)


def _accept(desk: Desk, submission: Submission, item: Item, body: Body) -> Receipt:
    slot, extra, previous = _place(desk, submission)
    row = _row(desk, slot, body, submission.client_submission_id)
    row |= {"extra": extra, "active_ms": submission.active_ms, "slot_k": None if extra else slot["k"]}
    if previous is not None:
        row |= {"supersedes_id": previous.id, "version": previous.version + 1}
    desk.connection.execute(insert(tables.annotation).values(**row))
    config = desk.project.config
    marked = annotated_keys(item, config) if "spans" in config.tasks else ()
    texts = {response.key: response.text for response in item.responses}
    store_body(desk.connection, row["id"], body, marked=marked, texts=texts)
    if not extra:
        _close(desk, slot, "submitted")
    lesson = None if item.purpose == "normal" else keep_score(desk, row["id"], body, item)
    desk.log("annotation.submitted", item.id, annotation=row["id"], version=row["version"], extra=extra)
    return _receipt(row, repeated=False, lesson=lesson if item.purpose == "train" else None)


def _place(desk: Desk, submission: Submission) -> tuple[RowMapping, bool, Row[Any, Any] | None]:
    """(the slot that a submission fills, whether it comes too late for it, the annotation it stands in for)."""
    slot = held_slot(desk, submission.item_id, submission.round)
    previous = _current(desk, submission.item_id, submission.round)
    if slot is not None and (slot["state"] == "leased" or slot["lease_token"] == submission.lease_token):
        return slot, False, previous
    if slot is not None or previous is not None:
        raise LeaseError("You have submitted this item already; reopen it to change it.", "unknown")
    other = _any_slot(desk, submission.item_id, submission.round)
    if other is None or not desk.had(submission.item_id, submission.round):
        raise LeaseError("This item was never yours; ask for the next one.", "unknown")
    free = open_slot(desk, submission.item_id, submission.round)
    return (free, False, None) if free is not None else (other, True, None)


def _any_slot(desk: Desk, item_id: str, round_number: int) -> RowMapping | None:
    slot = tables.slot
    of_item = slot.c.item_id == item_id, slot.c.round == round_number
    return desk.connection.execute(select(slot).where(*of_item).order_by(slot.c.k).limit(1)).mappings().first()


def _current(desk: Desk, item_id: str, round_number: int) -> Row[Any, Any] | None:
    """The id and version of what the user has said about an item and not replaced since."""
    annotation = tables.annotation
    own_rows = annotation.c.item_id == item_id, annotation.c.round == round_number, annotation.c.user_id == desk.user.id
    query = select(annotation.c.id, annotation.c.version).where(
        *own_rows, annotation.c.kind == "human", ~is_superseded()
    )
    return desk.connection.execute(query).first()


def _row(desk: Desk, slot: RowMapping, body: Body, client_id: str) -> dict[str, Any]:
    mine = slot["user_id"] == desk.user.id
    return {
        "id": new_id(),
        "project_id": desk.project.id,
        "item_id": slot["item_id"],
        "round": slot["round"],
        "slot_k": slot["k"],
        "user_id": desk.user.id,
        "kind": "human",
        "extra": False,
        "version": 1,
        "label_set_id": desk.project.label_set_id,
        "guideline_id": desk.project.guideline_id,
        "comment": body.comment,
        "started_at": slot["started_at"] if mine else None,
        "submitted_at": desk.database.now(),
        "active_ms": 0,
        "client_submission_id": client_id,
        "sha256": digest(json.dumps(body.model_dump(mode="json"), sort_keys=True)),
        "response_order": slot["response_order"] if mine else None,
        "suggested": bool(slot["suggested"]) if mine else False,
    }


def _close(desk: Desk, slot: RowMapping, state: str) -> None:
    """The slot is done and its lease over; an open slot that late work fills gets its owner."""
    values = {"state": state, "user_id": desk.user.id, "lease_token": None, "lease_expires_at": None}
    change_slot(desk.connection, slot, values)


def _restore_draft(desk: Desk, annotation: Annotation) -> None:
    draft = find_draft(desk.connection, desk.user.id, annotation.item_id, annotation.round)
    body = annotation.body.model_dump(mode="json")
    if draft is None or draft.document.get("body") != body:
        after = draft.rev if draft else 0
        put_draft(desk, annotation.item_id, annotation.round, {"body": body, "log": []}, after=after)
