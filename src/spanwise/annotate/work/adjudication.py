"""Adjudication: one person decides where several disagree; what they said stays as it was.

The queue begins with the items that disagree most. Names are hidden behind letters. What all say is preselected. A
decision in the making is a draft like that of an annotation, and lies beside those under the negative of its round.
"""

import json
import random
import string
from itertools import combinations
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import delete, func, insert, select

from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    AccessError,
    Annotation,
    Body,
    BodySpan,
    Database,
    Draft,
    DraftConflictError,
    Item,
    Project,
    Selection,
    SubmissionError,
    UnknownError,
    digest,
    get_item,
    is_superseded,
    iter_annotations,
    new_id,
    store_body,
    tables,
)
from spanwise.annotate.work.desk import ClientId, Desk, at_desk
from spanwise.annotate.work.drafts import Saved, check_size, find_draft, load_draft, put_draft
from spanwise.annotate.work.gold import score_against
from spanwise.annotate.work.submission import Receipt
from spanwise.annotate.work.validation import annotated_keys, parse_body, problems_of
from spanwise.core import DataError, derive_seed
from spanwise.feedback import Index, Record
from spanwise.feedback.statistics import Marked, match_spans
from spanwise.text import Span

_LOOKED_AT = 500


class AdjudicationRow(Record):
    """An item that people disagree on."""

    item_id: str
    ext_id: str
    prompt: str
    annotations: int
    disagreement: float
    """From 0, all say the same, to 1."""


class AdjudicationPage(Record):
    """One page of the queue."""

    total: int
    rows: tuple[AdjudicationRow, ...]


class Lane(Record):
    """What one person said, under a letter."""

    label: str
    annotation_id: str
    body: Body


class Lanes(Record):
    """An item with what several people said, and what all of them said."""

    item: Item
    lanes: tuple[Lane, ...]
    agreed: Body
    verdict: Body | None
    """The decision in force, if there is one."""
    draft: Draft | None
    """The decision in the making of the one who asks."""


class VerdictSave(Record):
    """What a page sends to keep a decision in the making."""

    item_id: str
    base_rev: Index
    """The revision that the page began from; 0 when there was none."""
    document: dict[str, Any]
    save_id: ClientId | None = None
    """Made by the page once per save, so that one whose answer was lost can be sent again."""


class Verdict(Record):
    """A decision."""

    item_id: str
    client_submission_id: ClientId
    body: dict[str, Any]
    source_ids: tuple[str, ...]
    """The annotations it was made from."""
    reasons: Annotated[dict[str, str], Field(max_length=2000)] = Field(default_factory=dict[str, str])


def adjudication_queue(database: Database, project: Project, *, offset: int = 0, limit: int = 50) -> AdjudicationPage:
    """Items with several annotations and no decision, most disagreement first (of the 500 that came first)."""
    total, rows = _ranked(database, project)
    return AdjudicationPage(total=total, rows=tuple(rows[offset : offset + min(limit, 200)]))


def next_undecided(database: Database, project: Project, item_id: str) -> str | None:
    """The item that follows `item_id` in the queue, also when that one was decided just now; None behind the last."""
    rows = _ranked(database, project)[1]
    ids = [row.item_id for row in rows]
    if item_id in ids:
        rows = rows[ids.index(item_id) + 1 :]
    else:
        bodies = [annotation.body for annotation in _said(database, project, (item_id,)).get(item_id, [])]
        level = disagreement(bodies)
        rows = [row for row in rows if row.disagreement <= level]
    return rows[0].item_id if rows else None


def _ranked(database: Database, project: Project) -> tuple[int, list[AdjudicationRow]]:
    item = tables.item
    with database.read() as connection:
        ids = _undecided(project)
        total = connection.execute(select(func.count()).select_from(ids.subquery())).scalar_one()
        chosen = tuple(connection.execute(ids.limit(_LOOKED_AT)).scalars())
        shown = select(item.c.id, item.c.ext_id, item.c.prompt).where(item.c.id.in_(chosen))
        names = {row.id: row for row in connection.execute(shown)}
    rows = [
        AdjudicationRow(
            item_id=item_id,
            ext_id=names[item_id].ext_id,
            prompt=names[item_id].prompt[:200],
            annotations=len(group),
            disagreement=disagreement([annotation.body for annotation in group]),
        )
        for item_id, group in _said(database, project, chosen).items()
    ]
    return total, sorted(rows, key=lambda row: -row.disagreement)


def _said(database: Database, project: Project, ids: tuple[str, ...]) -> dict[str, list[Annotation]]:
    by_item: dict[str, list[Annotation]] = {}
    selection = Selection(kinds=("human",), item_ids=ids, extra=True)
    with database.read() as connection:
        for annotation in iter_annotations(connection, project, selection):
            by_item.setdefault(annotation.item_id, []).append(annotation)
    return by_item


def disagreement(bodies: list[Body]) -> float:
    """One minus the mean score of each pair of bodies against each other."""
    scores = [fmean((score_against(a, b)[0], score_against(b, a)[0])) for a, b in combinations(bodies, 2)]
    return 1 - fmean(scores) if scores else 0.0


def lanes(database: Database, project: Project, user: User, item_id: str) -> Lanes:
    """What people said about an item, in an order that tells nothing, and the user's draft; raises UnknownError."""
    item = get_item(database, project, item_id)
    selection = Selection(
        kinds=("human", "adjudicated"), item_ids=(item_id,), extra=True, purposes=("normal", "gold", "train")
    )
    with database.read() as connection:
        annotations = list(iter_annotations(connection, project, selection))
    people = [annotation for annotation in annotations if annotation.kind == "human"]
    random.Random(derive_seed(0, f"lanes/{item_id}")).shuffle(people)
    verdicts = [annotation.body for annotation in annotations if annotation.kind == "adjudicated"]
    return Lanes(
        item=item,
        lanes=tuple(
            Lane(label=_letter(number), annotation_id=annotation.id, body=annotation.body)
            for number, annotation in enumerate(people)
        ),
        agreed=agreed([annotation.body for annotation in people]),
        verdict=verdicts[-1] if verdicts else None,
        draft=load_draft(database, user, item_id, -item.round),
    )


def save_verdict(database: Database, project: Project, user: User, save: VerdictSave) -> Saved:
    """Keeps a decision in the making.

    Raises DraftConflictError with the present one when another tab saved since `base_rev`. The same save sent twice is
    acknowledged twice.
    """
    require(user, "adjudicate")
    check_size(save.document)
    place = save.item_id, -get_item(database, project, save.item_id).round
    with at_desk(database, project, user) as desk:
        draft = find_draft(desk.connection, user.id, *place)
        if draft is None and save.base_rev:
            raise DataError(f"There is no revision {save.base_rev} of this draft; save from revision 0.")
        if draft is None or draft.rev == save.base_rev:
            draft = put_draft(desk, *place, save.document, after=save.base_rev, save_id=save.save_id)
        elif save.save_id is None or draft.save_id != save.save_id:
            raise DraftConflictError(draft)
    return Saved(rev=draft.rev, updated_at=draft.updated_at, lease="held", lease_expires_at=None)


def adjudicate(database: Database, project: Project, user: User, verdict: Verdict) -> Receipt:
    """Stores a decision, in place of the one before; raises SubmissionError when it is not valid."""
    require(user, "adjudicate")
    item = get_item(database, project, verdict.item_id)
    body = parse_body(verdict.body)
    problems = problems_of(body, item, project)
    if problems:
        raise SubmissionError(tuple(problems))
    with at_desk(database, project, user) as desk:
        return _repeated(desk, verdict) or _store(desk, item, body, verdict)


def agreed(bodies: list[Body]) -> Body:
    """What all bodies say: spans that match in all of them (cut as in the first), and all that is equal."""
    if not bodies:
        return Body()
    first, others = bodies[0], bodies[1:]
    marked = [_marked(span) for span in first.spans]
    matched = [{i for i, _ in match_spans(marked, [_marked(span) for span in other.spans])} for other in others]
    return Body(
        no_errors=tuple(key for key in first.no_errors if all(key in other.no_errors for other in others)),
        spans=tuple(span for i, span in enumerate(first.spans) if all(i in found for found in matched)),
        missing=tuple(gap for gap in first.missing if all(gap in other.missing for other in others)),
        corrections=tuple(edit for edit in first.corrections if all(edit in other.corrections for other in others)),
        preferences=tuple(p for p in first.preferences if all(p in other.preferences for other in others)),
        rankings=tuple(r for r in first.rankings if all(r in other.rankings for other in others)),
        answers=tuple(a for a in first.answers if all(a in other.answers for other in others)),
    )


def _marked(span: BodySpan) -> Marked:
    return Marked(Span(span.start, span.end), f"{span.target}/{span.category}")


def _letter(number: int) -> str:
    return string.ascii_uppercase[number] if number < 26 else f"{number + 1}"


def _undecided(project: Project) -> Any:
    annotation, item = tables.annotation, tables.item
    decided = tables.annotation.alias("decided")
    done = select(decided.c.id).where(decided.c.item_id == item.c.id, decided.c.kind == "adjudicated").exists()
    return (
        select(item.c.id)
        .join(annotation, annotation.c.item_id == item.c.id)
        .where(item.c.project_id == project.id, item.c.purpose == "normal", annotation.c.kind == "human")
        .where(annotation.c.skipped_reason.is_(None), ~is_superseded(), ~done)
        .group_by(item.c.id, item.c.position)
        .having(func.count() > 1)
        .order_by(item.c.position)
    )


def _repeated(desk: Desk, verdict: Verdict) -> Receipt | None:
    annotation = tables.annotation
    query = select(annotation).where(annotation.c.client_submission_id == verdict.client_submission_id)
    row = desk.connection.execute(query).mappings().first()
    if row is None:
        return None
    if row["user_id"] != desk.user.id:
        raise AccessError("This submission belongs to somebody else; reload the page.")
    return _receipt(row, repeated=True)


def _receipt(row: Any, *, repeated: bool) -> Receipt:
    shown = {name: row[name] for name in ("version", "extra", "submitted_at")}
    return Receipt(annotation_id=row["id"], repeated=repeated, message="Decided.", **shown)


def _store(desk: Desk, item: Item, body: Body, verdict: Verdict) -> Receipt:
    annotation = tables.annotation
    of_item = annotation.c.item_id == item.id
    known = set(desk.connection.execute(select(annotation.c.id).where(of_item)).scalars())
    if unknown := set(verdict.source_ids) - known:
        raise UnknownError(f"There is no annotation {min(unknown)!r:.60} of this item.")
    in_force = select(annotation.c.id, annotation.c.version).where(
        of_item, annotation.c.kind == "adjudicated", ~is_superseded()
    )
    previous = desk.connection.execute(in_force).first()
    annotation_id = new_id()
    row = {
        "id": annotation_id,
        "project_id": desk.project.id,
        "item_id": item.id,
        "round": item.round,
        "user_id": desk.user.id,
        "kind": "adjudicated",
        "extra": False,
        "version": previous.version + 1 if previous else 1,
        "supersedes_id": previous.id if previous else None,
        "label_set_id": desk.project.label_set_id,
        "guideline_id": desk.project.guideline_id,
        "comment": body.comment,
        "submitted_at": desk.database.now(),
        "active_ms": 0,
        "client_submission_id": verdict.client_submission_id,
        "sha256": digest(json.dumps(body.model_dump(mode="json"), sort_keys=True)),
        "suggested": False,
    }
    desk.connection.execute(insert(annotation).values(**row))
    config = desk.project.config
    marked = annotated_keys(item, config) if "spans" in config.tasks else ()
    store_body(desk.connection, annotation_id, body, marked=marked, texts={r.key: r.text for r in item.responses})
    draft = tables.draft
    mine = draft.c.item_id == item.id, draft.c.round == -item.round, draft.c.user_id == desk.user.id
    desk.connection.execute(delete(draft).where(*mine))
    told = {"source_ids": list(verdict.source_ids), "reasons": verdict.reasons}
    desk.connection.execute(insert(tables.adjudication).values(annotation_id=annotation_id, **told))
    desk.log("item.adjudicated", item.id, annotation=annotation_id, sources=list(verdict.source_ids))
    return _receipt(row, repeated=False)
