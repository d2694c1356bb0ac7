"""Questions about items: an annotator asks, a manager answers, and both see what was said until it is settled.

A question belongs to the one who asked it. Other annotators never see it: it may tell what somebody thinks of an item
that they have still to judge.
"""

from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from spanwise.annotate.people import User, may, require
from spanwise.annotate.store import AccessError, Database, Project, UnknownError, new_id, tables
from spanwise.annotate.work import Desk, at_desk
from spanwise.core import DataError
from spanwise.feedback import Record
from spanwise.text import check_text

LONGEST = 4000


class Answer(Record):
    """What somebody said to a question."""

    by: str
    content: str
    at: str


class Thread(Record):
    """A question about an item, with what was said to it."""

    id: str
    item_id: str
    ext_id: str
    by: str
    content: str
    at: str
    settled_at: str | None
    answers: tuple[Answer, ...]


class ThreadPage(Record):
    """One page of questions; `open` counts those that are not settled, whatever is listed."""

    total: int
    open: int
    rows: tuple[Thread, ...]


def ask(database: Database, project: Project, user: User, item_id: str, content: str) -> Thread:
    """Asks about an item that the user has or had; raises AccessError for another one, DataError for an empty text."""
    require(user, "annotate")
    _check(content)
    with at_desk(database, project, user) as desk:
        round_number = _round(desk, item_id)
        if not may(user.role, "view") and not desk.had(item_id, round_number):
            raise AccessError("This item was never yours; ask about one that you have.")
        row = _row(desk, item_id, content)
        desk.connection.execute(insert(tables.comment).values(**row))
        desk.log("question.asked", item_id, question=row["id"])
        return _thread(desk.connection, project, row["id"])


def reply(database: Database, project: Project, thread_id: str, content: str, *, by: User) -> Thread:
    """Answers a question, as a manager or as the one who asked; the latter opens it again."""
    _check(content)
    with at_desk(database, project, by) as desk:
        asked = _asked(desk, thread_id)
        row = _row(desk, asked["item_id"], content) | {"reply_to": thread_id}
        desk.connection.execute(insert(tables.comment).values(**row))
        if asked["user_id"] == by.id and asked["resolved_at"]:
            _settle(desk, thread_id, None)
        desk.log("question.answered", asked["item_id"], question=thread_id)
        return _thread(desk.connection, project, thread_id)


def settle(database: Database, project: Project, thread_id: str, *, settled: bool = True, by: User) -> Thread:
    """Says that a question needs no more answers, or does again."""
    with at_desk(database, project, by) as desk:
        asked = _asked(desk, thread_id)
        _settle(desk, thread_id, database.now() if settled else None)
        desk.log("question.settled" if settled else "question.opened", asked["item_id"], question=thread_id)
        return _thread(desk.connection, project, thread_id)


def list_threads(
    database: Database,
    project: Project,
    user: User,
    *,
    item_id: str | None = None,
    settled: bool | None = None,
    offset: int = 0,
    limit: int = 50,
) -> ThreadPage:
    """Questions, the latest first: all of them for those who may view the project, one's own for others."""
    comment = tables.comment
    query = _questions(project)
    if not may(user.role, "view"):
        query = query.where(comment.c.user_id == user.id)
    if item_id is not None:
        query = query.where(comment.c.item_id == item_id)
    open_ones = query.where(comment.c.resolved_at.is_(None))
    if settled is not None:
        query = query.where(comment.c.resolved_at.is_not(None)) if settled else open_ones
    newest = query.order_by(comment.c.at.desc(), comment.c.id.desc())
    with database.read() as connection:
        total, still_open = (_count(connection, some) for some in (query, open_ones))
        rows = connection.execute(newest.offset(offset).limit(min(limit, 200))).mappings().all()
        threads = _with_answers(connection, rows)
    return ThreadPage(total=total, open=still_open, rows=tuple(threads))


def _check(content: str) -> None:
    check_text(content, place="content")
    if not content.strip() or len(content) > LONGEST:
        raise DataError(f"A question or an answer has 1 to {LONGEST} characters; write some words.")


def _row(desk: Desk, item_id: str, content: str) -> dict[str, Any]:
    shared = {"id": new_id(), "item_id": item_id, "user_id": desk.user.id, "content": content.strip()}
    return shared | {"at": desk.database.now(), "resolved_at": None, "reply_to": None}


def _round(desk: Desk, item_id: str) -> int:
    item = tables.item
    chosen = select(item.c.round).where(item.c.id == item_id, item.c.project_id == desk.project.id)
    found = desk.connection.execute(chosen).scalar_one_or_none()
    if found is None:
        raise UnknownError(f"There is no item {item_id!r:.60} in this project.")
    return found


def _asked(desk: Desk, thread_id: str) -> RowMapping:
    """The question, for its author and for managers; for others there is none."""
    chosen = _questions(desk.project).where(tables.comment.c.id == thread_id)
    row = desk.connection.execute(chosen).mappings().first()
    if row is None or (row["user_id"] != desk.user.id and not may(desk.user.role, "manage")):
        raise UnknownError(f"There is no question {thread_id!r:.60} that you may answer.")
    return row


def _settle(desk: Desk, thread_id: str, at: str | None) -> None:
    desk.connection.execute(update(tables.comment).where(tables.comment.c.id == thread_id).values(resolved_at=at))


def _questions(project: Project) -> Select[Any]:
    comment, item, user = tables.comment, tables.item, tables.user
    return (
        select(comment, item.c.ext_id, user.c.name)
        .join(item, item.c.id == comment.c.item_id)
        .join(user, user.c.id == comment.c.user_id)
        .where(item.c.project_id == project.id, comment.c.reply_to.is_(None))
    )


def _count(connection: Connection, query: Select[Any]) -> int:
    return connection.execute(query.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()


def _thread(connection: Connection, project: Project, thread_id: str) -> Thread:
    rows = connection.execute(_questions(project).where(tables.comment.c.id == thread_id)).mappings().all()
    return _with_answers(connection, rows)[0]


def _with_answers(connection: Connection, rows: Any) -> list[Thread]:
    comment, user = tables.comment, tables.user
    query = select(comment, user.c.name).join(user, user.c.id == comment.c.user_id)
    query = query.where(comment.c.reply_to.in_([row["id"] for row in rows])).order_by(comment.c.at, comment.c.id)
    answers: dict[str, list[Answer]] = {row["id"]: [] for row in rows}
    for row in connection.execute(query).mappings():
        answers[row["reply_to"]].append(Answer(by=row["name"], content=row["content"], at=row["at"]))
    return [
        Thread(
            by=row["name"],
            settled_at=row["resolved_at"],
            answers=tuple(answers[row["id"]]),
            **{name: row[name] for name in ("id", "item_id", "ext_id", "content", "at")},
        )
        for row in rows
    ]
