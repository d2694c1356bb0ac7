"""The agreement of a project's annotators: its annotations, put before `feedback.agreement`."""

from itertools import groupby
from typing import Any

from spanwise.annotate.exchange.records import record_of
from spanwise.annotate.store import Database, Project, Selection, iter_annotations, load_items
from spanwise.core import DataError
from spanwise.feedback import FeedbackRecord
from spanwise.feedback.crowds import weigh_annotators
from spanwise.feedback.statistics import Agreement, measure

_LEVELS = {"response": "sequence"}


def measure_agreement(
    database: Database, project: Project, *, rounds: tuple[int, ...] | None = None, resamples: int = 1000, seed: int = 0
) -> Agreement:
    """The panel over all submissions of people; gold items, drafts and adjudicated versions do not count."""
    return _measured(_overlapping(database, project, rounds), project, resamples, seed)


def agreement_panel(database: Database, project: Project, *, resamples: int) -> dict[str, Any]:
    """The panel as plain values, with `warnings` about people whose marks look like chance, or change as they go on."""
    records = _overlapping(database, project, None)
    return {**_measured(records, project, resamples, 0).as_dict(), "warnings": _warnings(records)}


def _warnings(records: list[list[FeedbackRecord]]) -> tuple[str, ...]:
    """None where no two people with names judged the same."""
    item = {record.id: number for number, group in enumerate(records) for record in group}
    named = [record for group in records for record in group if record.annotator]
    try:
        return weigh_annotators(named, item_of=lambda record: item[record.id]).warnings
    except DataError:
        return ()


def _overlapping(database: Database, project: Project, rounds: tuple[int, ...] | None) -> list[list[FeedbackRecord]]:
    """What people said of the items that several of them judged."""
    with database.read() as connection:
        annotations = list(iter_annotations(connection, project, Selection(kinds=("human",), rounds=rounds)))
        groups = [list(group) for _, group in groupby(annotations, key=lambda annotation: annotation.item_id)]
        groups = [group for group in groups if len(group) > 1]
        items = load_items(connection, project, [group[0].item_id for group in groups])
    return [[record_of(items[annotation.item_id], annotation, project) for annotation in group] for group in groups]


def _measured(records: list[list[FeedbackRecord]], project: Project, resamples: int, seed: int) -> Agreement:
    config = project.config
    levels = {category.name: _LEVELS.get(category.level, category.level) for category in config.span_categories}
    missing = [category.name for category in config.missing_categories]
    return measure(records, levels, missing=missing, resamples=resamples, seed=seed)
