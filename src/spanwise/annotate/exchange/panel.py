"""The agreement of a project's annotators: its annotations, put before `feedback.agreement`."""

from itertools import groupby

from spanwise.annotate.exchange.records import record_of
from spanwise.annotate.store import Database, Project, Selection, iter_annotations, load_items
from spanwise.feedback import FeedbackRecord
from spanwise.feedback.statistics import Agreement, measure

_LEVELS = {"response": "sequence"}


def measure_agreement(
    database: Database, project: Project, *, rounds: tuple[int, ...] | None = None, resamples: int = 1000, seed: int = 0
) -> Agreement:
    """The panel over all submissions of people; gold items, drafts and adjudicated versions do not count."""
    with database.read() as connection:
        annotations = list(iter_annotations(connection, project, Selection(kinds=("human",), rounds=rounds)))
        groups = [list(group) for _, group in groupby(annotations, key=lambda annotation: annotation.item_id)]
        groups = [group for group in groups if len(group) > 1]
        items = load_items(connection, project, [group[0].item_id for group in groups])
    records: list[list[FeedbackRecord]] = [
        [record_of(items[annotation.item_id], annotation, project) for annotation in group] for group in groups
    ]
    config = project.config
    levels = {category.name: _LEVELS.get(category.level, category.level) for category in config.span_categories}
    missing = [category.name for category in config.missing_categories]
    return measure(records, levels, missing=missing, resamples=resamples, seed=seed)
