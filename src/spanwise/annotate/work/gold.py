"""Gold and training items: items whose right answer is known, to learn from and to measure people by.

Gold items look like any other and come now and then; training items come first and show their answer after submit.
Scores forgive borders: spans count as found from half an overlap on.
"""

import functools
import random
from statistics import fmean
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, func, insert, select, update
from sqlalchemy import text as sql

from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    Body,
    Database,
    Item,
    Project,
    SubmissionError,
    UnknownError,
    get_item,
    is_superseded,
    open_slots,
    tables,
    touch_queue,
)
from spanwise.annotate.work.desk import Desk, at_desk
from spanwise.annotate.work.validation import problems_of
from spanwise.core import derive_seed
from spanwise.feedback import Evidence, Record
from spanwise.feedback.statistics import Marked, f1, match_spans
from spanwise.text import Span

WINDOW = 20
"""How many gold items the recent score looks back on."""


class Lesson(Record):
    """What an annotator learns after a training item."""

    expected: Body
    score: float
    remarks: tuple[str, ...]


class GoldRow(Record):
    """How one person does on gold and training items."""

    user_id: str
    name: str
    answered: int
    mean: float
    recent: float
    """Over the last 20."""


def set_gold(
    database: Database, project: Project, item_id: str, body: Body, *, kind: Literal["gold", "train"], by: User
) -> None:
    """Makes an item gold or a training item, with its right answer; raises SubmissionError when that is not valid."""
    require(by, "manage")
    problems = problems_of(body, get_item(database, project, item_id), project)
    if problems:
        raise SubmissionError(tuple(problems))
    slot = tables.slot
    with at_desk(database, project, by) as desk:
        keep_gold(desk.connection, item_id, body, at=database.now(), user_id=by.id)
        desk.connection.execute(update(tables.item).where(tables.item.c.id == item_id).values(purpose=kind))
        desk.connection.execute(delete(slot).where(slot.c.item_id == item_id, slot.c.state == "open"))
        desk.log("gold.set", item_id, purpose=kind)


def unset_gold(database: Database, project: Project, item_id: str, *, by: User) -> None:
    """Makes a gold or training item an ordinary one; its right answer is forgotten, the scores given by it stay.

    Those who had it keep what they said; slots that are missing are opened for others.
    """
    require(by, "manage")
    item, slot = tables.item, tables.slot
    with at_desk(database, project, by) as desk:
        chosen = item.c.id == item_id, item.c.project_id == project.id, item.c.purpose != "normal"
        row = desk.connection.execute(select(item).where(*chosen).with_for_update()).mappings().first()
        if row is None:
            raise UnknownError(f"{item_id!r:.60} is no gold or training item.")
        desk.connection.execute(delete(tables.gold).where(tables.gold.c.item_id == item_id))
        desk.connection.execute(update(item).where(item.c.id == item_id).values(purpose="normal"))
        last = select(func.count(), func.coalesce(func.max(slot.c.k), -1))
        last = last.where(slot.c.item_id == item_id, slot.c.round == row["round"])
        there, highest = desk.connection.execute(last).one()
        numbers = range(highest + 1, highest + 1 + max(0, row["overlap"] - there))
        added = open_slots({**row, "purpose": "normal"}, numbers)
        if added:
            desk.connection.execute(insert(slot), added)
        touch_queue(desk.connection, project)
        desk.log("gold.unset", item_id, before=row["purpose"])


def keep_gold(connection: Connection, item_id: str, body: Body, *, at: str, user_id: str | None) -> None:
    """Stores the right answer of an item in place of the one before."""
    connection.execute(delete(tables.gold).where(tables.gold.c.item_id == item_id))
    connection.execute(insert(tables.gold).values(**gold_row(item_id, body, at=at, user_id=user_id)))


def gold_row(item_id: str, body: Body, *, at: str, user_id: str | None) -> dict[str, Any]:
    """The row that the right answer of an item is."""
    return {"item_id": item_id, "body": body.model_dump(mode="json"), "at": at, "user_id": user_id}


def find_gold(connection: Connection, item_id: str) -> Body | None:
    """The right answer of an item, where it has one."""
    body = connection.execute(select(tables.gold.c.body).where(tables.gold.c.item_id == item_id)).scalar_one_or_none()
    return None if body is None else Body.model_validate(body)


def keep_score(desk: Desk, annotation_id: str, body: Body, item: Item) -> Lesson | None:
    """Scores an annotation of a gold or training item and stores the score; None where the answer is not known."""
    expected = find_gold(desk.connection, item.id)
    if expected is None:
        return None
    score, remarks = score_against(body, expected)
    row = {"annotation_id": annotation_id, "user_id": desk.user.id, "score": score, "details": list(remarks)}
    desk.connection.execute(insert(tables.gold_score).values(**row, at=desk.database.now()))
    return Lesson(expected=expected, score=score, remarks=remarks)


def score_against(body: Body, expected: Body) -> tuple[float, tuple[str, ...]]:
    """A score from 0 to 1 and what was missed, as sentences; parts that both leave empty do not count."""
    parts: list[float] = []
    remarks: list[str] = []
    for score, notes in (_spans(body, expected), _missing(body, expected), _preferences(body, expected)):
        remarks += notes
        if score is not None:
            parts.append(score)
    return (fmean(parts) if parts else 1.0), tuple(remarks)


def next_special(connection: Connection, project: Project, user_id: str) -> RowMapping | None:
    """The training or gold item that a user gets next, if it is time for one."""
    train = _untouched(connection, project, user_id, "train")
    if train is not None or not project.config.gold_every:
        return train
    if _since_gold(connection, project, user_id) < _pause(connection, project, user_id):
        return None
    return _untouched(connection, project, user_id, "gold")


def training_failed(connection: Connection, project: Project, user_id: str) -> bool:
    """Whether the user has done all training items and stayed below the score that the project asks for."""
    if not project.config.training_pass:
        return False
    if _untouched(connection, project, user_id, "train") is not None:
        return False
    scores = [row.score for row in connection.execute(_scores(project, ("train",))) if row.user_id == user_id]
    return bool(scores) and fmean(scores) < project.config.training_pass


def gold_report(database: Database, project: Project) -> list[GoldRow]:
    """The scores of everybody who answered gold or training items, by name."""
    return [
        GoldRow(user_id=user_id, name=name, answered=len(scores), mean=fmean(scores), recent=fmean(scores[-WINDOW:]))
        for (name, user_id), scores in sorted(gold_scores(database, project).items())
    ]


def gold_scores(database: Database, project: Project) -> dict[tuple[str, str], list[float]]:
    """All scores on gold and training items, the oldest first, by name and id of the user."""
    with database.read() as connection:
        rows = connection.execute(_scores(project, ("gold", "train"))).all()
    by_user: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        by_user.setdefault((row.name, row.user_id), []).append(row.score)
    return by_user


def _scores(project: Project, purposes: tuple[str, ...]) -> Select[Any, Any, Any]:
    score, annotation = tables.gold_score, tables.annotation
    return (
        select(score.c.user_id, tables.user.c.name, score.c.score)
        .join(annotation, annotation.c.id == score.c.annotation_id)
        .join(tables.item, tables.item.c.id == annotation.c.item_id)
        .join(tables.user, tables.user.c.id == score.c.user_id)
        .where(annotation.c.project_id == project.id, tables.item.c.purpose.in_(purposes), annotation.c.version == 1)
        .order_by(score.c.at)
    )


def _untouched(connection: Connection, project: Project, user_id: str, purpose: str) -> RowMapping | None:
    """The first item of a purpose that the user has had nothing to do with."""
    known = {"project": project.id, "user": user_id, "purpose": purpose}
    return connection.execute(_first_untouched(), known).mappings().first()


@functools.cache
def _first_untouched() -> Select[Any]:
    """Made once: making it takes longer than running it."""
    item, slot, annotation, user = tables.item, tables.slot, tables.annotation, bindparam("user")
    taken = select(slot.c.k).where(slot.c.item_id == item.c.id, slot.c.user_id == user).exists()
    done = select(annotation.c.id).where(annotation.c.item_id == item.c.id, annotation.c.user_id == user).exists()
    special = sql("item.purpose <> 'normal'")  # as the index says it, so that SQLite uses it
    chosen = item.c.project_id == bindparam("project"), item.c.purpose == bindparam("purpose"), special
    query = select(item).where(*chosen, ~taken, ~done).order_by(item.c.priority.desc(), item.c.position)
    return query.limit(1)


def _pause(connection: Connection, project: Project, user_id: str) -> int:
    """Ordinary items until the next gold one: `gold_every` in the mean, and never to be foreseen."""
    score = tables.gold_score
    count = select(func.count()).select_from(score).where(score.c.user_id == user_id)
    done = connection.execute(count).scalar_one()
    chance = random.Random(derive_seed(0, f"gold/{project.id}/{user_id}/{done}"))
    return chance.randint(1, 2 * project.config.gold_every - 1)


def _since_gold(connection: Connection, project: Project, user_id: str) -> int:
    """How many ordinary items the user has submitted since the last item that was scored."""
    annotation, item, score = tables.annotation, tables.item, tables.gold_score
    last = connection.execute(select(func.max(score.c.at)).where(score.c.user_id == user_id)).scalar_one_or_none()
    normal = annotation.c.project_id == project.id, annotation.c.user_id == user_id, item.c.purpose == "normal"
    counted = select(func.count()).select_from(annotation).join(item, item.c.id == annotation.c.item_id)
    counted = counted.where(*normal, annotation.c.submitted_at > (last or ""), ~is_superseded())
    return connection.execute(counted).scalar_one()


def _spans(body: Body, expected: Body) -> tuple[float | None, list[str]]:
    given, wanted = _marked(body), _marked(expected)
    pairs = match_spans(given, wanted)
    matched = {j for _, j in pairs}
    notes = [f"Not found: {s.category} “{s.quote:.60}”." for j, s in enumerate(expected.spans) if j not in matched]
    right = {i for i, _ in pairs}
    notes += [f"Not an error: {s.category} “{s.quote:.60}”." for i, s in enumerate(body.spans) if i not in right]
    if not wanted and not given:
        return (1.0 if expected.no_errors else None), notes
    proven = [(body.spans[i].evidence, expected.spans[j].evidence) for i, j in pairs if expected.spans[j].evidence]
    hits = sum(bool(_cited(a) & _cited(b)) for a, b in proven)
    notes += ["Other sentences prove an error."] * (len(proven) - hits)
    score = f1(len(pairs), len(given), len(wanted)) or 0.0
    return (score if not proven else (score + hits / len(proven)) / 2), notes


def _missing(body: Body, expected: Body) -> tuple[float | None, list[str]]:
    given = [(gap.target, gap.category) for gap in body.missing]
    wanted = [(gap.target, gap.category) for gap in expected.missing]
    matched = sum(min(given.count(kind), wanted.count(kind)) for kind in set(wanted))
    notes = [f"Left out is also: {category}." for _, category in set(wanted) - set(given)]
    return f1(matched, len(given), len(wanted)), sorted(notes)


def _preferences(body: Body, expected: Body) -> tuple[float | None, list[str]]:
    given = {(p.aspect, frozenset((p.a, p.b))): _winner(p.a, p.b, p.choice) for p in body.preferences}
    wanted = {(p.aspect, frozenset((p.a, p.b))): _winner(p.a, p.b, p.choice) for p in expected.preferences}
    if not wanted:
        return None, []
    right = sum(given.get(key) == winner for key, winner in wanted.items())
    notes = [f"{len(wanted) - right} of {len(wanted)} comparisons came out otherwise."] if right < len(wanted) else []
    return right / len(wanted), notes


def _winner(a: str, b: str, choice: str) -> str:
    return {"a": a, "b": b}.get(choice, "tie")


def _marked(body: Body) -> list[Marked]:
    return [Marked(Span(span.start, span.end), f"{span.target}/{span.category}") for span in body.spans]


def _cited(evidence: tuple[Evidence, ...]) -> set[tuple[int, int]]:
    return {(e.passage, number) for e in evidence for number in (*e.sentences, *([-1] if e.title else []))}
