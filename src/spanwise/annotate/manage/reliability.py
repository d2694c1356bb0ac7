"""How far each person can be relied on, and how agreement went week by week."""

from collections import defaultdict
from datetime import datetime
from itertools import groupby
from statistics import fmean

from spanwise.annotate.exchange import record_of
from spanwise.annotate.store import Annotation, Database, Project, Selection, iter_annotations, load_items
from spanwise.annotate.work import gold_scores
from spanwise.feedback import FeedbackRecord, Record
from spanwise.feedback.statistics import Alpha, agreement_by, interval_of_mean, reliabilities


class Reliability(Record):
    """One person's figures; None where there is too little to tell."""

    name: str
    units: int
    """Sub-sentences that somebody else judged as well."""
    alpha: float | None
    """Agreement with the others, chance taken off: 1 is full, 0 is chance."""
    low: float | None
    high: float | None
    """The 95 % interval over items."""
    golds: int
    gold: float | None
    """Mean score on gold and training items."""
    gold_low: float | None
    gold_high: float | None


class Week(Record):
    """Agreement on the items whose last annotation fell into one week."""

    week: str
    """By ISO 8601, such as 2026-W07."""
    items: int
    alpha: float | None
    low: float | None
    high: float | None


class ReliabilityPanel(Record):
    """People by name, weeks by time."""

    people: tuple[Reliability, ...]
    weeks: tuple[Week, ...]


def measure_reliability(database: Database, project: Project, *, resamples: int = 200) -> ReliabilityPanel:
    """The figures of everybody, and of every week; gold items count as such alone."""
    shared = _shared(database, project)
    names = [category.name for category in project.config.span_categories]
    alphas = reliabilities([records for _, records in shared], names, resamples=resamples)
    scores = {name: values for (name, _), values in gold_scores(database, project).items()}
    weeks: dict[str, list[list[FeedbackRecord]]] = defaultdict(list)
    for week, records in shared:
        weeks[week].append(records)
    by_week = agreement_by(dict(sorted(weeks.items())), names, resamples=resamples)
    return ReliabilityPanel(
        people=tuple(
            _person(name, alphas.get(name), scores.get(name, []), resamples) for name in sorted({*alphas, *scores})
        ),
        weeks=tuple(
            Week(week=week, items=len(weeks[week]), alpha=figure.value, low=figure.low, high=figure.high)
            for week, figure in by_week.items()
        ),
    )


def _shared(database: Database, project: Project) -> list[tuple[str, list[FeedbackRecord]]]:
    """For each item that several people annotated, the week of the last of them, and their records."""
    with database.read() as connection:
        every = list(iter_annotations(connection, project, Selection(kinds=("human",))))
        groups = [list(group) for _, group in groupby(every, key=lambda annotation: annotation.item_id)]
        groups = [group for group in groups if len(group) > 1]
        items = load_items(connection, project, [group[0].item_id for group in groups])
    return [(_week(group), [record_of(items[one.item_id], one, project) for one in group]) for group in groups]


def _week(group: list[Annotation]) -> str:
    year, week, _ = datetime.fromisoformat(max(one.submitted_at for one in group)).isocalendar()
    return f"{year}-W{week:02d}"


def _person(name: str, alpha: Alpha | None, scores: list[float], resamples: int) -> Reliability:
    low, high = interval_of_mean(scores, resamples=resamples) or (None, None)
    return Reliability(
        name=name,
        units=alpha.units if alpha else 0,
        alpha=alpha.value if alpha else None,
        low=alpha.low if alpha else None,
        high=alpha.high if alpha else None,
        golds=len(scores),
        gold=fmean(scores) if scores else None,
        gold_low=low,
        gold_high=high,
    )
