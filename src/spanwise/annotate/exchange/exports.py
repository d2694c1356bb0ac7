"""Exports: the annotations of a project as a file of any format, with a manifest beside it.

What is exported is one state of the database, whatever happens meanwhile. The file appears whole or not at all.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from spanwise.annotate.exchange.records import record_of
from spanwise.annotate.people import User, require
from spanwise.annotate.store import (
    Annotation,
    BusyError,
    Database,
    Item,
    Project,
    Selection,
    StorageError,
    audit,
    iter_annotations,
    load_items,
    new_id,
    stamp,
    tables,
)
from spanwise.core import DataError, write_json
from spanwise.feedback import FeedbackRecord, Record
from spanwise.feedback.formats import get_format, names_of_formats, write_feedback

EXPORTS = names_of_formats("written")
_AT_ONCE = 200


class ExportReport(Record):
    """What an export wrote."""

    path: str
    manifest: str
    rows: int
    sha256: str
    left_out: dict[str, int]
    """What the format has no place for, and how often."""


def export_file(
    database: Database,
    project: Project,
    path: Path,
    form: str,
    selection: Selection | None = None,
    *,
    user: User | None = None,
) -> ExportReport:
    """Writes the chosen annotations to `path`, and what was written to `path` + ".manifest.json"."""
    if user is not None:
        require(user, "export")
    get_format(form, "written")  # refuses an unknown one before the database is asked
    chosen, at = selection or Selection(), database.now()
    with database.read() as connection:
        done = write_feedback(path, form, iter_exported(connection, project, chosen))
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    manifest = path.with_name(f"{path.name}.manifest.json")
    report = ExportReport(path=str(path), manifest=str(manifest), rows=done.rows, sha256=sha256, left_out=done.left_out)
    row = {"format": form, "selection": chosen.model_dump(mode="json"), "user_id": user.id if user else None}
    _log(database, project, row | {"rows": done.rows, "sha256": sha256, "at": at})
    facts = {"format": form, "file": path.name, "project": project.config.name, "at": at}
    versions = {"label_set": project.label_set_version, "guidelines": project.guideline_version}
    counts = {"rows": done.rows, "sha256": sha256, "left_out": done.left_out}
    write_json(manifest, facts | versions | counts | {"selection": chosen.model_dump(mode="json")})
    return report


def last_export(database: Database, project: Project) -> str | None:
    """When the project was last exported; None where it never was."""
    log = tables.export_log
    with database.read() as connection:
        return connection.execute(select(func.max(log.c.at)).where(log.c.project_id == project.id)).scalar_one()


def since_when(database: Database, project: Project, text: str) -> str | None:
    """The time that somebody means: nothing, "last" for the last export, or a time; raises DataError for others."""
    if not text:
        return None
    if text == "last":
        return last_export(database, project)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"since: {text!r:.40} is no time; write last, or a time such as 2026-01-31T12:00.") from error
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def iter_exported(connection: Connection, project: Project, selection: Selection) -> Iterator[FeedbackRecord]:
    """The records of the chosen annotations, in the order of the items."""
    piece: list[Annotation] = []
    for annotation in iter_annotations(connection, project, selection):
        piece.append(annotation)
        if len(piece) == _AT_ONCE:
            yield from _records(connection, project, piece, selection)
            piece = []
    yield from _records(connection, project, piece, selection)


def _records(
    connection: Connection, project: Project, piece: list[Annotation], selection: Selection
) -> Iterator[FeedbackRecord]:
    items: dict[str, Item] = load_items(connection, project, list({annotation.item_id for annotation in piece}))
    for annotation in piece:
        yield record_of(items[annotation.item_id], annotation, project, anonymise=selection.anonymise)


def _log(database: Database, project: Project, row: dict[str, Any]) -> None:
    """Notes the export; where the database takes nothing at the moment, later: nobody is kept from the annotations."""
    values = row | {"id": new_id(), "project_id": project.id}
    told = {"format": row["format"], "rows": row["rows"]}
    noted = audit.entry(database, "export.done", project.id, user_id=row["user_id"], **told)
    database.postpone(insert(tables.export_log).values(**values), noted)
    with contextlib.suppress(StorageError, BusyError):
        database.write_late()
