"""Imports: a file becomes items of a project, and annotations where it holds feedback already.

Bad records are refused one by one, with line and reason, and keep no other out. Everything belongs to a batch, which
can be rolled back as long as nobody has worked on its items. A file is read and cut into segments first, while others
go on working, and stored at the end in one transaction: an import that fails or is killed has stored nothing but texts
that nothing speaks of, and which the next one finds.
"""

import hashlib
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Connection, delete, func, insert, select, update

from spanwise.annotate.exchange.records import body_of, has_feedback, marked_keys, other_polarity
from spanwise.annotate.exchange.staging import Load, Rows, Said, Stage, Staged, tuples
from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    MAX_TEXT,
    Body,
    Database,
    NewItem,
    Project,
    UnknownError,
    add_absent,
    audit,
    body_rows,
    digest,
    item_rows,
    new_id,
    next_position,
    response_key,
    tables,
    text_rows,
    touch_queue,
)
from spanwise.annotate.work import gold_row
from spanwise.core import DataError
from spanwise.feedback import FeedbackRecord, Place, Problem, Record
from spanwise.feedback.formats import Outcome, Reading, Unit, get_format, iter_feedback, names_of_formats
from spanwise.feedback.formats.tables import Layout

IMPORTS = names_of_formats("read")
LARGEST_RECORD = 5_000_000
SHOWN_PROBLEMS = 1000
_AT_ONCE = 250


class ImportSettings(Record):
    """How a file is taken in."""

    offset_unit: Unit = "auto"
    """What the offsets of a foreign file count; where this is "auto", what its tool documents and its quotes show."""
    layout: Layout = Layout()
    """What the columns of a table mean, where their names do not say it."""
    allow_loss: tuple[str, ...] = ()
    """Kinds of feedback that may stay unread, as the report names them."""
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
    batch = _described(database, project, path) | {"format": form, "offset_unit": wanted.offset_unit}
    batch |= {"user_id": user.id if user else None}
    with Stage() as stage:
        intake = _Intake(database, project, batch, wanted)
        reading = Reading(wanted.offset_unit, intake.unread, wanted.layout, wanted.allow_loss)
        outcomes = iter_feedback(path, form, reading)
        held = False
        while piece := list(islice(outcomes, _AT_ONCE)):
            held = True
            stage.add(intake.prepared(piece))
        if not (held or intake.unread):
            raise DataError(f"{path.name}: holds no records; check the file.")
        with database.write("spanwise-import") as connection:
            return intake.store(connection, stage)


_OF_ITEMS = (
    tables.slot, tables.response, tables.passage, tables.suggestion, tables.gold, tables.assignment, tables.comment,
)  # fmt: skip


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
        for table in _OF_ITEMS:
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
    """Prepares records piece by piece, then stores all of them, and counts."""

    def __init__(self, database: Database, project: Project, batch: dict[str, Any], settings: ImportSettings) -> None:
        self.database, self.project, self.batch, self.settings = database, project, batch, settings
        self.counts = dict.fromkeys(("items", "annotations", "duplicates", "rejected"), 0)
        self.problems: list[Problem] = []
        self.unread: Counter[str] = Counter()
        with database.read() as connection:
            self.position = next_position(connection, project)

    def prepared(self, outcomes: list[Outcome[FeedbackRecord]]) -> list[Staged]:
        """The good records of a piece, ready to be stored; their texts are stored already."""
        checked = [(place, self._checked(place, outcome)) for place, outcome in outcomes]
        for _, outcome in checked:
            if isinstance(outcome, list):
                self._refuse(outcome)
        good = [(place, *outcome) for place, outcome in checked if not isinstance(outcome, list)]
        self._add_texts({response.text for _, record, _ in good for response in record.responses})
        return [self._staged(place, record, body) for place, record, body in good]

    def store(self, connection: Connection, stage: Stage) -> ImportReport:
        """Stores all that was prepared, in the transaction of `connection`."""
        connection.execute(insert(tables.import_batch).values(**self.batch, counts={}, report=[]))
        for piece in stage.pieces():
            self._store(connection, piece)
        touch_queue(connection, self.project)
        self.problems.sort(key=lambda problem: (problem.place.line, problem.place.item or 0))
        report = self._report()
        rows = [row.model_dump(mode="json") for row in report.problems]
        own = update(tables.import_batch).where(tables.import_batch.c.id == self.batch["id"])
        connection.execute(own.values(counts=self.counts, report=rows))
        user_id = self.batch["user_id"]
        audit.record(connection, self.database, "import.done", self.batch["id"], user_id=user_id, **self.counts)
        return report

    def _report(self) -> ImportReport:
        rows = tuple(
            ProblemRow(file=Path(p.file).name, line=p.line, item=p.place.item, field=p.field, reason=p.reason)
            for p in self.problems[:SHOWN_PROBLEMS]
        )
        return ImportReport(batch_id=self.batch["id"], problems=rows, unread=dict(self.unread), **self.counts)

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
        if reason := other_polarity(outcome, self.project):
            return [Problem(place, "spans", reason)]
        try:
            body = body_of(outcome) if has_feedback(outcome) else None
        except ValueError as error:
            return [Problem(place, "", " ".join(str(error).split()))]
        if body is None and self.settings.purpose != "normal":
            return [Problem(place, "", "has no feedback, so its right answer is not known; mark it first.")]
        return outcome, body

    def _add_texts(self, contents: set[str]) -> None:
        with self.database.read() as connection:
            prepared = text_rows(connection, contents)  # cutting into segments takes longest, and holds nobody up
        if any(rows for _, rows in prepared):
            with self.database.write("spanwise-import") as connection:
                for table, rows in prepared:
                    add_absent(connection, table, rows)

    def _staged(self, place: Place, record: FeedbackRecord, body: Body | None) -> Staged:
        details = record.provenance.get("annotation")
        ext_id = str(details.get("item") or record.id) if isinstance(details, dict) else record.id
        item_id, rows = self._item(record, ext_id, body)
        return Staged(
            file=place.file,
            line=place.line,
            position_in_list=place.item,
            ext_id=ext_id,
            fingerprint=(record.prompt, *(response.text_hash for response in record.responses)),
            item_id=item_id,
            item=rows,
            said=None if body is None or self.settings.purpose != "normal" else self._said(record, body),
        )

    def _item(self, record: FeedbackRecord, ext_id: str, body: Body | None) -> tuple[str, Rows]:
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
        (item_id,), rows = item_rows(self.project, [new], first=self.position, batch_id=self.batch["id"])
        self.position += 1
        if body is not None and wanted.purpose != "normal":
            rows.append((tables.gold, [gold_row(item_id, body, at=self.batch["at"], user_id=None)]))
        return item_id, [tuples(table, some) for table, some in rows]

    def _said(self, record: FeedbackRecord, body: Body) -> Said:
        annotation_id = new_id()
        row = {
            "id": annotation_id,
            "project_id": self.project.id,
            "round": self.project.round,
            "annotator": record.annotator,
            "kind": "imported",
            "extra": False,
            "version": 1,
            "label_set_id": self.project.label_set_id,
            "comment": "",
            "submitted_at": self.batch["at"],
            "active_ms": 0,
            "client_submission_id": f"import-{annotation_id}",
            "sha256": digest(body.model_dump_json()),
            "suggested": False,
            "provenance": {"id": record.id, "provenance": record.provenance},
            "batch_id": self.batch["id"],
        }
        texts = {response_key(k): response.text for k, response in enumerate(record.responses)}
        parts = body_rows(annotation_id, body, marked=marked_keys(record), texts=texts)
        return Said(record.id, row, [tuples(table, rows) for table, rows in parts])

    def _store(self, connection: Connection, piece: list[Staged]) -> None:
        known = _known(connection, self.project, [staged.ext_id for staged in piece])
        said = _already_said(connection, [item_id for item_id, _ in known.values()])
        load = Load()
        for staged in piece:
            item_id, fingerprint = known.get(staged.ext_id, (None, None))
            if item_id is not None and fingerprint != staged.fingerprint:
                reason = f"{staged.ext_id!r:.60} is the id of another item already; change it."
                self._refuse([Problem(staged.place, "id", reason)])
                continue
            if item_id is None:
                known[staged.ext_id] = (staged.item_id, staged.fingerprint)
                load.add(staged.item)
                self.counts["items"] += 1
            self._store_said(load, staged, item_id, said)
        load.insert(connection)

    def _store_said(self, load: Load, staged: Staged, known_id: str | None, said: set[tuple[str, str]]) -> None:
        item_id = known_id or staged.item_id
        if staged.said is None:
            self.counts["duplicates"] += known_id is not None
        elif (item_id, staged.said.record_id) in said:
            self.counts["duplicates"] += 1
        else:
            said.add((item_id, staged.said.record_id))
            load.add([tuples(tables.annotation, [staged.said.annotation | {"item_id": item_id}]), *staged.said.parts])
            self.counts["annotations"] += 1


def _described(database: Database, project: Project, path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    return {
        "id": new_id(), "project_id": project.id, "filename": path.name, "sha256": sha256, "at": database.now(),
    }  # fmt: skip


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


def _known(connection: Connection, project: Project, ext_ids: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of the items with these ids of their own: the id, and what must be equal for a record to mean the same item."""
    item, response = tables.item, tables.response
    query = select(item.c.id, item.c.ext_id, item.c.prompt)
    rows = connection.execute(query.where(item.c.project_id == project.id, item.c.ext_id.in_(ext_ids))).all()
    if not rows:
        return {}
    hashes: dict[str, list[str]] = {}
    of_items = response.c.item_id.in_([row.id for row in rows])
    ordered = select(response.c.item_id, response.c.text_sha256).where(of_items).order_by(response.c.k)
    for item_id, sha256 in connection.execute(ordered):
        hashes.setdefault(item_id, []).append(sha256)
    return {row.ext_id: (row.id, (row.prompt, *hashes.get(row.id, []))) for row in rows}


def _already_said(connection: Connection, item_ids: list[str]) -> set[tuple[str, str]]:
    """Item and id of the records that were imported as annotations of these items."""
    if not item_ids:
        return set()
    annotation = tables.annotation
    same = annotation.c.item_id.in_(item_ids), annotation.c.kind == "imported"
    rows = connection.execute(select(annotation.c.item_id, annotation.c.provenance).where(*same))
    return {(item_id, provenance["id"]) for item_id, provenance in rows}
