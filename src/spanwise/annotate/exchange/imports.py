"""Imports: a file becomes items of a project, and annotations where it holds feedback already.

Bad records are refused one by one, with line and reason, and keep no other out. Everything belongs to a batch, which
can be rolled back as long as nobody has worked on its items. Work goes in small transactions, so that annotators need
not wait for a long import; one that fails half-way takes itself back.
"""

import hashlib
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Connection, delete, func, insert, select, update

from spanwise.annotate.exchange.records import body_of, has_feedback, marked_keys
from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    MAX_TEXT,
    Body,
    Database,
    NewItem,
    Project,
    UnknownError,
    add_items,
    audit,
    digest,
    new_id,
    response_key,
    store_body,
    tables,
)
from spanwise.annotate.work import keep_gold
from spanwise.core import DataError
from spanwise.feedback import FeedbackRecord, Place, Problem, Record
from spanwise.feedback.formats import Outcome, Unit, get_format, iter_feedback, names_of_formats

IMPORTS = names_of_formats("read")
LARGEST_RECORD = 5_000_000
SHOWN_PROBLEMS = 1000
_AT_ONCE = 50


class ImportSettings(Record):
    """How a file is taken in."""

    offset_unit: Unit = "auto"
    """What the offsets of a foreign file count; where this is "auto", what its tool documents and its quotes show."""
    purpose: Literal["normal", "gold", "train"] = "normal"
    """One of normal, gold and train; the feedback of gold and training records is their right answer."""
    priority: float = 0.0
    overlap: Annotated[int, Field(ge=1, le=50)] | None = None
    """How many people annotate each item; the project's number where this is None."""
    priorities: dict[str, tuple[float, str, float]] = Field(default_factory=dict[str, tuple[float, str, float]])
    """By record id: priority, why the record was selected, and the probability that it would be."""


class ProblemRow(Record):
    """Why one record was refused."""

    file: str
    line: int
    item: int | None
    field: str
    reason: str


class ImportReport(Record):
    """What an import did."""

    batch_id: str
    items: int
    annotations: int
    duplicates: int
    """Records whose item, and feedback, was there already."""
    rejected: int
    problems: tuple[ProblemRow, ...]
    """At most 1,000 of them."""
    unread: dict[str, int] = Field(default_factory=dict[str, int])
    """Feedback of the file that is not read, by kind."""


class BatchRow(Record):
    """One import in the list."""

    id: str
    format: str
    filename: str
    at: str
    counts: dict[str, int]
    rolled_back_at: str | None


def import_file(
    database: Database,
    project: Project,
    path: Path,
    form: str,
    *,
    user: User | None = None,
    settings: ImportSettings | None = None,
) -> ImportReport:
    """Imports a file; raises DataError when it cannot be read at all, ConfigError for an unknown format."""
    if user is not None:
        require(user, "import")
    get_format(form, "read")  # refuses an unknown one before the batch begins
    wanted = settings or ImportSettings()
    row = {"format": form, "offset_unit": wanted.offset_unit, "user_id": user.id if user else None}
    batch_id = _begin(database, project, path, row)
    intake = _Intake(database, project, batch_id, wanted)
    try:
        outcomes = iter_feedback(path, form, wanted.offset_unit, intake.unread)
        while piece := list(islice(outcomes, _AT_ONCE)):
            intake.take(piece)
    except BaseException:
        roll_back(database, project, batch_id)
        raise
    report = intake.report()
    _finish(database, batch_id, report, user)
    return report


def roll_back(database: Database, project: Project, batch_id: str, *, by: User | None = None) -> int:
    """Takes an import back and returns how many items went; raises DataError when people have worked on them."""
    if by is not None:
        require(by, "import")
    item, annotation, batch = tables.item, tables.annotation, tables.import_batch
    with database.write() as connection:
        known = batch.c.id == batch_id, batch.c.project_id == project.id
        if connection.execute(select(batch.c.id).where(*known)).first() is None:
            raise UnknownError(f"There is no import {batch_id!r:.60} in this project.")
        ids = list(connection.execute(select(item.c.id).where(item.c.batch_id == batch_id)).scalars())
        _check_untouched(connection, ids, batch_id)
        for table in tables.SAID:
            of_batch = select(annotation.c.id).where(annotation.c.batch_id == batch_id)
            connection.execute(delete(table).where(table.c.annotation_id.in_(of_batch)))
        connection.execute(delete(annotation).where(annotation.c.batch_id == batch_id))
        owned = select(item.c.id).where(item.c.batch_id == batch_id)
        for table in (tables.slot, tables.response, tables.passage, tables.suggestion, tables.gold):
            connection.execute(delete(table).where(table.c.item_id.in_(owned)))
        connection.execute(delete(item).where(item.c.batch_id == batch_id))
        connection.execute(update(batch).where(batch.c.id == batch_id).values(rolled_back_at=database.now()))
        audit.record(
            connection, database, "import.rolled_back", batch_id, user_id=by.id if by else None, items=len(ids)
        )
    return len(ids)


def list_batches(database: Database, project: Project) -> list[BatchRow]:
    """The project's imports, the latest first."""
    batch = tables.import_batch
    query = select(batch).where(batch.c.project_id == project.id).order_by(batch.c.id.desc())
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [BatchRow(**{name: row[name] for name in BatchRow.model_fields}) for row in rows]


class _Intake:
    """Takes records in, piece by piece, and counts."""

    def __init__(self, database: Database, project: Project, batch_id: str, settings: ImportSettings) -> None:
        self.database, self.project, self.batch_id, self.settings = database, project, batch_id, settings
        self.counts = dict.fromkeys(("items", "annotations", "duplicates", "rejected"), 0)
        self.problems: list[Problem] = []
        self.unread: Counter[str] = Counter()

    def take(self, outcomes: list[Outcome[FeedbackRecord]]) -> None:
        """Stores the good records of a piece in one transaction."""
        checked = [(place, self._checked(place, outcome)) for place, outcome in outcomes]
        for _, outcome in checked:
            if isinstance(outcome, list):
                self._refuse(outcome)
        good = [(place, outcome) for place, outcome in checked if not isinstance(outcome, list)]
        with self.database.write("spanwise-import") as connection:
            for place, (record, body) in good:
                self._store(connection, place, record, body)

    def report(self) -> ImportReport:
        """What was done."""
        rows = tuple(
            ProblemRow(file=Path(p.file).name, line=p.line, item=p.place.item, field=p.field, reason=p.reason)
            for p in self.problems[:SHOWN_PROBLEMS]
        )
        return ImportReport(batch_id=self.batch_id, problems=rows, unread=dict(self.unread), **self.counts)

    def _refuse(self, problems: list[Problem]) -> None:
        self.counts["rejected"] += 1
        self.problems += problems

    def _checked(self, place: Place, outcome: FeedbackRecord | list[Problem]) -> Any:
        """The record with its body, or what is wrong with it."""
        if isinstance(outcome, list):
            return outcome
        sizes = [len(response.text) for response in outcome.responses]
        if max(sizes) > MAX_TEXT or len(place.raw) > LARGEST_RECORD:
            reason = f"is too large; a text has at most {MAX_TEXT:,} characters and a record {LARGEST_RECORD:,} bytes."
            return [Problem(place, "", reason)]
        try:
            body = body_of(outcome) if has_feedback(outcome) else None
        except ValueError as error:
            return [Problem(place, "", " ".join(str(error).split()))]
        if body is None and self.settings.purpose != "normal":
            return [Problem(place, "", "has no feedback, so its right answer is not known; mark it first.")]
        return outcome, body

    def _store(self, connection: Connection, place: Place, record: FeedbackRecord, body: Body | None) -> None:
        details = record.provenance.get("annotation")
        ext_id = str(details.get("item") or record.id) if isinstance(details, dict) else record.id
        known = _known(connection, self.project, ext_id)
        if known is not None and known[1] != _fingerprint(record):
            self._refuse([Problem(place, "id", f"{ext_id!r:.60} is the id of another item already; change it.")])
            return
        item_id = known[0] if known else self._new_item(connection, record, ext_id, body)
        if body is None or self.settings.purpose != "normal":
            self.counts["duplicates"] += known is not None
        elif _already_said(connection, item_id, record):
            self.counts["duplicates"] += 1
        else:
            self._new_annotation(connection, item_id, record, body)

    def _new_item(self, connection: Connection, record: FeedbackRecord, ext_id: str, body: Body | None) -> str:
        wanted = self.settings
        priority, reason, probability = wanted.priorities.get(record.id, (wanted.priority, None, None))
        new = NewItem(
            record=record,
            ext_id=ext_id,
            meta={name: value for name, value in record.provenance.items() if name != "annotation"},
            purpose=wanted.purpose,
            priority=priority,
            overlap=wanted.overlap or self.project.config.overlap,
            selection_reason=reason,
            selection_prob=probability,
        )
        (item_id,) = add_items(connection, self.project, [new], batch_id=self.batch_id)
        self.counts["items"] += 1
        if body is not None and wanted.purpose != "normal":
            keep_gold(connection, item_id, body, at=self.database.now(), user_id=None)
        return item_id

    def _new_annotation(self, connection: Connection, item_id: str, record: FeedbackRecord, body: Body) -> None:
        annotation_id = new_id()
        row = {
            "id": annotation_id,
            "project_id": self.project.id,
            "item_id": item_id,
            "round": self.project.round,
            "annotator": record.annotator,
            "kind": "imported",
            "extra": False,
            "version": 1,
            "label_set_id": self.project.label_set_id,
            "comment": "",
            "submitted_at": self.database.now(),
            "active_ms": 0,
            "client_submission_id": f"import-{annotation_id}",
            "sha256": digest(body.model_dump_json()),
            "suggested": False,
            "provenance": {"id": record.id, "provenance": record.provenance},
            "batch_id": self.batch_id,
        }
        connection.execute(insert(tables.annotation).values(**row))
        texts = {response_key(k): response.text for k, response in enumerate(record.responses)}
        store_body(connection, annotation_id, body, marked=marked_keys(record), texts=texts)
        self.counts["annotations"] += 1


def _begin(database: Database, project: Project, path: Path, row: dict[str, Any]) -> str:
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    batch_id = new_id()
    values = {"id": batch_id, "project_id": project.id, "filename": path.name, "sha256": sha256, "at": database.now()}
    with database.write() as connection:
        connection.execute(insert(tables.import_batch).values(**values, **row, counts={}, report=[]))
    return batch_id


def _finish(database: Database, batch_id: str, report: ImportReport, user: User | None) -> None:
    counts = report.model_dump(include={"items", "annotations", "duplicates", "rejected"})
    rows = [row.model_dump(mode="json") for row in report.problems]
    batch = tables.import_batch
    with database.write() as connection:
        connection.execute(update(batch).where(batch.c.id == batch_id).values(counts=counts, report=rows))
        audit.record(connection, database, "import.done", batch_id, user_id=user.id if user else None, **counts)


def _check_untouched(connection: Connection, ids: list[str], batch_id: str) -> None:
    slot, annotation, draft, item = tables.slot, tables.annotation, tables.draft, tables.item
    owned = select(item.c.id).where(item.c.batch_id == batch_id)
    queries = (
        select(func.count()).select_from(slot).where(slot.c.item_id.in_(owned), slot.c.state != "open"),
        select(func.count()).select_from(draft).where(draft.c.item_id.in_(owned)),
        select(func.count())
        .select_from(annotation)
        .where(annotation.c.item_id.in_(owned), (annotation.c.batch_id != batch_id) | annotation.c.batch_id.is_(None)),
    )
    touched = sum(connection.execute(query).scalar_one() for query in queries)
    if touched:
        raise DataError(f"People have worked on items of this import ({len(ids)} items); it cannot be taken back.")


def _known(connection: Connection, project: Project, ext_id: str) -> tuple[str, tuple[Any, ...]] | None:
    """The id of the item called `ext_id` and what must be equal for a record to mean the same item."""
    item, response = tables.item, tables.response
    query = select(item.c.id, item.c.prompt).where(item.c.project_id == project.id, item.c.ext_id == ext_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    hashes = select(response.c.text_sha256).where(response.c.item_id == row.id).order_by(response.c.k)
    return row.id, (row.prompt, *connection.execute(hashes).scalars())


def _fingerprint(record: FeedbackRecord) -> tuple[Any, ...]:
    return (record.prompt, *(response.text_hash for response in record.responses))


def _already_said(connection: Connection, item_id: str, record: FeedbackRecord) -> bool:
    annotation = tables.annotation
    same = annotation.c.item_id == item_id, annotation.c.kind == "imported"
    rows = connection.execute(select(annotation.c.provenance).where(*same)).scalars()
    return any(row["id"] == record.id for row in rows)
