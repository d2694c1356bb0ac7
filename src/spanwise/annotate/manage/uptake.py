"""What people make of a model's suggestions: taken over as they are, changed, dropped, and what they add of their own.

Who takes over nearly everything and adds nothing may have stopped reading; so may a crowd that marks other things
where suggestions are shown than where they are held back. Both are warned of, neither is a proof.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import select

from spanwise.annotate.store import Annotation, Body, Database, Project, Selection, iter_annotations, tables
from spanwise.annotate.work import is_held_out
from spanwise.feedback import Record

ENOUGH, NODS = 20, 0.95
"""From how many suggested marks on, and from which share taken over unchanged, somebody is said to nod."""


class Uptake(Record):
    """What one person made of the suggestions that were there to see."""

    name: str
    items: int
    offered: int
    """Suggested marks on these items."""
    accepted: int
    modified: int
    dropped: int
    added: int
    """Marks of the person's own beside them."""
    nods: bool
    """Whether nearly all were taken over unchanged, and hardly anything was added: look at this person's work."""


class UptakePanel(Record):
    """Everybody, and marks per item with and without suggestions, which tell how far these lead people."""

    people: tuple[Uptake, ...]
    marks_with: float | None
    marks_without: float | None


@dataclass
class _Count:
    items: int = 0
    offered: int = 0
    accepted: int = 0
    modified: int = 0
    added: int = 0
    without: list[int] = field(default_factory=list[int])
    marked: list[int] = field(default_factory=list[int])


def measure_uptake(database: Database, project: Project) -> UptakePanel:
    """Counts over the annotations of people that stand, of items for which suggestions were made."""
    counts: dict[str, _Count] = defaultdict(_Count)
    with database.read() as connection:
        suggestion, item = tables.suggestion, tables.item
        query = select(suggestion.c.item_id, suggestion.c.id, suggestion.c.body)
        query = query.join(item, item.c.id == suggestion.c.item_id).where(item.c.project_id == project.id)
        offered: dict[str, dict[str, Body]] = defaultdict(dict)
        for row in connection.execute(query):
            offered[row.item_id][row.id] = Body.model_validate(row.body)
        for annotation in iter_annotations(connection, project, Selection(kinds=("human",))):
            if annotation.item_id in offered:
                _count(counts[annotation.annotator or ""], annotation, offered[annotation.item_id], project)
    told = [_uptake(name, count) for name, count in sorted(counts.items()) if count.items]
    marked = [number for count in counts.values() for number in count.marked]
    without = [number for count in counts.values() for number in count.without]
    return UptakePanel(people=tuple(told), marks_with=_mean(marked), marks_without=_mean(without))


def _count(count: _Count, annotation: Annotation, offered: dict[str, Body], project: Project) -> None:
    spans = annotation.body.spans
    if not annotation.suggested:
        if is_held_out(annotation.item_id, project.config.suggestion_holdout):
            count.without.append(len(spans))
        return
    count.items += 1
    count.marked.append(len(spans))
    count.offered += sum(len(body.spans) for body in offered.values())
    proposed = {
        (one, span.target, span.start, span.end, span.category) for one, body in offered.items() for span in body.spans
    }
    for span in spans:
        same = (span.suggestion_id, span.target, span.start, span.end, span.category) in proposed
        count.accepted += same
        count.modified += span.suggestion_id is not None and not same
        count.added += span.suggestion_id is None


def _uptake(name: str, count: _Count) -> Uptake:
    # A mark that was cut in two counts as changed twice; nothing is dropped below none.
    dropped = max(0, count.offered - count.accepted - count.modified)
    much = count.offered >= ENOUGH and count.accepted >= NODS * count.offered
    return Uptake(
        name=name,
        items=count.items,
        offered=count.offered,
        accepted=count.accepted,
        modified=count.modified,
        dropped=dropped,
        added=count.added,
        nods=much and count.added <= (1 - NODS) * count.offered,
    )


def _mean(numbers: list[int]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None
