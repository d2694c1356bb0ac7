"""Annotations in the database: bodies go in as rows of the tables of `tables.SAID` and come out equal.

An annotation is never changed; the one in force is the one that no other supersedes. This file knows nothing of
slots (`work/submission.py` joins both).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, Table, insert, select

from spanwise.annotate.store import tables
from spanwise.annotate.store.body import (
    Antecedent,
    Body,
    BodyAnswer,
    BodyCorrection,
    BodyMissing,
    BodyPreference,
    BodyRanking,
    BodySpan,
    response_key,
    response_position,
)
from spanwise.annotate.store.database import Database
from spanwise.annotate.store.differences import ALGORITHM, changed_words, diff
from spanwise.annotate.store.project import Project
from spanwise.feedback import Evidence, Record
from spanwise.text import text_hash

Kind = Literal["human", "adjudicated", "imported", "model"]
Rows = dict[str, list[RowMapping]]

_CHUNK = 200
_LATER = tables.annotation.alias("later")
_SHOWN = (
    "id", "item_id", "round", "slot_k", "user_id", "kind", "extra", "version", "supersedes_id", "skipped_reason",
    "started_at", "submitted_at", "active_ms", "provenance", "suggested", "sha256",
)  # fmt: skip


class Annotation(Record):
    """One submitted body, and the circumstances."""

    id: str
    item_id: str
    round: int
    slot_k: int | None
    user_id: str | None
    annotator: str | None
    """The user's name, or the name in an imported file."""
    kind: Kind
    extra: bool
    """Submitted after the slot had passed to somebody else."""
    version: int
    supersedes_id: str | None
    label_set_version: int
    guideline_version: int | None
    skipped_reason: str | None
    started_at: str | None
    submitted_at: str
    active_ms: int
    suggested: bool
    """Whether suggestions of a model were there to see."""
    response_order: tuple[str, ...]
    """The order in which the responses were shown."""
    provenance: dict[str, Any] | None
    sha256: str
    marked: tuple[str, ...]
    """The responses that were looked at for marks."""
    body: Body


class Selection(Record):
    """Which annotations are meant."""

    kinds: tuple[Kind, ...] = ("human", "adjudicated", "imported")
    rounds: tuple[int, ...] | None = None
    """All rounds where this is None."""
    item_ids: tuple[str, ...] | None = None
    extra: bool = False
    """Whether those submitted after their slot had passed on count."""
    skipped: bool = False
    all_versions: bool = False
    purposes: tuple[str, ...] = ("normal",)
    """Gold and training items are left out unless they are named."""
    since: str | None = None
    """Only what was submitted, anew or in a new version, at or after this time (ISO 8601, in UTC)."""
    anonymise: bool = False


def annotations_of(
    database: Database, project: Project, item_id: str, *, all_versions: bool = False
) -> list[Annotation]:
    """What was said about one item, oldest first, of every kind and purpose."""
    selection = Selection(
        kinds=("human", "adjudicated", "imported", "model"),
        item_ids=(item_id,),
        extra=True,
        skipped=True,
        all_versions=all_versions,
        purposes=("normal", "gold", "train"),
    )
    with database.read() as connection:
        return list(iter_annotations(connection, project, selection))


def load_annotation(connection: Connection, annotation_id: str) -> Annotation | None:
    """One annotation by its id."""
    rows = connection.execute(_joined().where(tables.annotation.c.id == annotation_id)).mappings().all()
    return _built(connection, rows)[0] if rows else None


def iter_annotations(connection: Connection, project: Project, selection: Selection) -> Iterator[Annotation]:
    """The chosen annotations in the order of items, then of submission; read in pieces, so that many fit."""
    query = _chosen(project, selection).with_only_columns(tables.annotation.c.id, maintain_column_froms=True)
    ids = list(connection.execute(query).scalars())
    for start in range(0, len(ids), _CHUNK):
        piece = ids[start : start + _CHUNK]
        rows = {
            row["id"]: row for row in connection.execute(_joined().where(tables.annotation.c.id.in_(piece))).mappings()
        }
        yield from _built(connection, [rows[annotation_id] for annotation_id in piece])


def store_body(
    connection: Connection, annotation_id: str, body: Body, *, marked: Sequence[str], texts: dict[str, str]
) -> None:
    """Writes the parts of a body; `marked` are the responses looked at for marks, `texts` the responses by key."""
    for table, rows in body_rows(annotation_id, body, marked=marked, texts=texts):
        connection.execute(insert(table), rows)


def body_rows(
    annotation_id: str, body: Body, *, marked: Sequence[str], texts: dict[str, str]
) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """The rows that a body is, by table; tables without any are left out."""
    for table, rows in _parts(body, marked, texts):
        if rows:
            yield table, [{"annotation_id": annotation_id, "ord": number, **row} for number, row in enumerate(rows)]


def _parts(body: Body, marked: Sequence[str], texts: dict[str, str]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    position = response_position
    free = set(body.no_errors)
    yield tables.judgement, [{"target": position(key), "no_errors": key in free} for key in marked]
    yield tables.span, [_span_row(span) for span in body.spans]
    yield (
        tables.missing,
        [{"target": position(gap.target), "category": gap.category, "comment": gap.comment} for gap in body.missing],
    )
    yield tables.evidence, _evidence_rows(body)
    yield tables.correction, [_correction_row(edit, texts[edit.target]) for edit in body.corrections]
    yield (
        tables.preference,
        [
            p.model_dump(include={"aspect", "choice", "strength"}) | {"a": position(p.a), "b": position(p.b)}
            for p in body.preferences
        ],
    )
    yield tables.ranking, [ranking.model_dump(mode="json") for ranking in body.rankings]
    yield tables.answer, [answer.model_dump() for answer in body.answers]


def _span_row(span: BodySpan) -> dict[str, Any]:
    copied = {"start", "end", "quote", "category", "severity", "comment", "origin", "suggestion_id"}
    earlier = span.antecedent
    return span.model_dump(include=copied) | {
        "body_id": span.id,
        "target": response_position(span.target),
        "antecedent": earlier.text if earlier else None,
        "antecedent_start": earlier.start if earlier else None,
        "antecedent_end": earlier.end if earlier else None,
    }


def _evidence_rows(body: Body) -> list[dict[str, Any]]:
    owned = [("span", i, e, "contradicts") for i, span in enumerate(body.spans) for e in span.evidence]
    owned += [("missing", i, gap.evidence, "states") for i, gap in enumerate(body.missing) if gap.evidence]
    return [
        {"owner_kind": kind, "owner": i, "relation": relation, **e.model_dump(mode="json")}
        for kind, i, e, relation in owned
    ]


def _correction_row(edit: BodyCorrection, original: str) -> dict[str, Any]:
    ops = diff(original, edit.text)
    return {
        "target": response_position(edit.target),
        "content": edit.text,
        "base_sha256": text_hash(original),
        "reason": edit.reason,
        "diff_algo": ALGORITHM,
        "ops": [list(op) for op in ops],
        "words_changed": changed_words(original, ops),
    }


def _joined() -> Select[Any]:
    annotation = tables.annotation
    return (
        select(
            annotation,
            tables.user.c.name.label("user_name"),
            tables.label_set.c.version.label("label_set_version"),
            tables.guideline.c.version.label("guideline_version"),
        )
        .outerjoin(tables.user, tables.user.c.id == annotation.c.user_id)
        .join(tables.label_set, tables.label_set.c.id == annotation.c.label_set_id)
        .outerjoin(tables.guideline, tables.guideline.c.id == annotation.c.guideline_id)
    )


def _chosen(project: Project, selection: Selection) -> Select[Any]:
    annotation, item = tables.annotation, tables.item
    query = (
        select(annotation)
        .join(item, item.c.id == annotation.c.item_id)
        .where(annotation.c.project_id == project.id, annotation.c.kind.in_(selection.kinds))
        .where(item.c.purpose.in_(selection.purposes))
    )
    if selection.rounds is not None:
        query = query.where(annotation.c.round.in_(selection.rounds))
    if selection.item_ids is not None:
        query = query.where(annotation.c.item_id.in_(selection.item_ids))
    if selection.since is not None:
        query = query.where(annotation.c.submitted_at >= selection.since)
    if not selection.extra:
        query = query.where(~annotation.c.extra)
    if not selection.skipped:
        query = query.where(annotation.c.skipped_reason.is_(None))
    if not selection.all_versions:
        query = query.where(~is_superseded())
    return query.order_by(item.c.position, annotation.c.submitted_at, annotation.c.id)


def is_superseded() -> Any:
    """Condition on the table `annotation`: a later version stands in its place."""
    return select(_LATER.c.id).where(_LATER.c.supersedes_id == tables.annotation.c.id).exists()


def _built(connection: Connection, rows: Sequence[RowMapping]) -> list[Annotation]:
    ids = [row["id"] for row in rows]
    grouped = {table.name: _grouped(connection, table, ids) for table in tables.SAID}
    return [
        _annotation(row, {name: by_annotation.get(row["id"], []) for name, by_annotation in grouped.items()})
        for row in rows
    ]


def _grouped(connection: Connection, table: Any, ids: Sequence[str]) -> Rows:
    grouped: Rows = {}
    query = select(table).where(table.c.annotation_id.in_(ids)).order_by(table.c.annotation_id, table.c.ord)
    for row in connection.execute(query).mappings():
        grouped.setdefault(row["annotation_id"], []).append(row)
    return grouped


def _annotation(row: RowMapping, parts: Rows) -> Annotation:
    return Annotation(
        **{name: row[name] for name in _SHOWN},
        annotator=row["user_name"] or row["annotator"],
        label_set_version=row["label_set_version"],
        guideline_version=row["guideline_version"],
        response_order=tuple(row["response_order"] or ()),
        marked=tuple(response_key(judged["target"]) for judged in parts["judgement"]),
        body=_body(row, parts),
    )


def _body(row: RowMapping, parts: Rows) -> Body:
    proofs: dict[tuple[str, int], list[Evidence]] = {}
    for proof in parts["evidence"]:
        evidence = Evidence(passage=proof["passage"], sentences=tuple(proof["sentences"]), title=proof["title"])
        proofs.setdefault((proof["owner_kind"], proof["owner"]), []).append(evidence)
    return Body(
        no_errors=tuple(response_key(judged["target"]) for judged in parts["judgement"] if judged["no_errors"]),
        spans=tuple(_span(span, tuple(proofs.get(("span", i), ()))) for i, span in enumerate(parts["span"])),
        missing=tuple(
            BodyMissing(
                target=response_key(gap["target"]),
                category=gap["category"],
                comment=gap["comment"],
                evidence=next(iter(proofs.get(("missing", i), ())), None),
            )
            for i, gap in enumerate(parts["missing"])
        ),
        corrections=tuple(
            BodyCorrection(target=response_key(edit["target"]), text=edit["content"], reason=edit["reason"])
            for edit in parts["correction"]
        ),
        preferences=tuple(
            BodyPreference(
                aspect=p["aspect"],
                a=response_key(p["a"]),
                b=response_key(p["b"]),
                choice=p["choice"],
                strength=p["strength"],
            )
            for p in parts["preference"]
        ),
        rankings=tuple(BodyRanking(aspect=r["aspect"], tiers=tuple(map(tuple, r["tiers"]))) for r in parts["ranking"]),
        answers=tuple(BodyAnswer(key=a["key"], value=a["value"]) for a in parts["answer"]),
        comment=row["comment"],
    )


def _span(row: RowMapping, evidence: tuple[Evidence, ...]) -> BodySpan:
    copied = ("start", "end", "quote", "category", "severity", "comment", "origin", "suggestion_id")
    earlier = row["antecedent"]
    return BodySpan(
        id=row["body_id"],
        target=response_key(row["target"]),
        evidence=evidence,
        antecedent=None
        if earlier is None
        else Antecedent(text=earlier, start=row["antecedent_start"], end=row["antecedent_end"]),
        **{name: row[name] for name in copied},
    )
