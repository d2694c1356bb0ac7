"""Which items are annotated first: the most uncertain ones, and a share drawn by lot from the rest.

The probability with which each item was selected is stored beside it, so that whoever trains on the round can weight
items by its inverse and undo the preference for uncertain ones. Without the share by lot that is impossible: items
that are certain would never be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update

from spanwise.annotate.people import User, require
from spanwise.annotate.store import Database, Project, tables, touch_queue
from spanwise.annotate.work.desk import at_desk
from spanwise.core import ConfigError, numpy_generator
from spanwise.feedback import SegmentScores, Unscored


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selected item."""

    id: str
    priority: float
    """Higher comes first; by lot and by uncertainty mixed, so that a round that ends early holds both."""
    reason: str
    """Either "uncertain" or "random"."""
    probability: float


def uncertainty(scores: list[SegmentScores]) -> float | None:
    """How unsure sources are of a response, from 0 to 1; None when none of them could score it.

    Sources that score 2 P(right) - 1 are least sure at 0; of each one the least sure segment counts.
    """
    judged = [
        max(0.0, *(1 - abs(s.value) for s in source_scores.scores if not isinstance(s.value, Unscored)))
        for source_scores in scores
        if any(not isinstance(s.value, Unscored) for s in source_scores.scores)
    ]
    return max(judged) if judged else None


def select_items(scores: Mapping[str, float], *, size: int, random_share: float, seed: int) -> list[Chosen]:
    """Selects `size` of the scored items: the highest scores, and `random_share` of the places drawn from the rest."""
    if not 0 <= random_share <= 1 or size < 1:
        raise ConfigError("A selection needs a size of at least 1 and a random share from 0 to 1.")
    ranked = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))
    size = min(size, len(ranked))
    drawn = round(size * random_share)
    certain, rest = ranked[: size - drawn], ranked[size - drawn :]
    random = numpy_generator(seed, "priority/random")
    lot = [rest[index] for index in random.choice(len(rest), size=min(drawn, len(rest)), replace=False)]
    order = [*certain, *lot]
    shuffled = random.permutation(len(order))
    places = {order[index]: float(len(order) - rank) for rank, index in enumerate(shuffled)}
    chance = len(lot) / len(rest) if rest else 1.0
    return [Chosen(item_id, places[item_id], "uncertain", 1.0) for item_id in certain] + [
        Chosen(item_id, places[item_id], "random", chance) for item_id in lot
    ]


def prioritise(
    database: Database,
    project: Project,
    scores: Mapping[str, float],
    *,
    size: int,
    random_share: float = 0.2,
    seed: int = 0,
    by: User,
) -> list[Chosen]:
    """Puts the selected items of the project before all others, and stores why and how likely each was selected."""
    require(by, "manage")
    chosen = select_items(scores, size=size, random_share=random_share, seed=seed)
    item, slot = tables.item, tables.slot
    with at_desk(database, project, by) as desk:
        item_ids = select(item.c.id).where(item.c.project_id == project.id)
        for table, name in ((item, "id"), (slot, "item_id")):
            desk.connection.execute(update(table).where(table.c[name].in_(item_ids)).values(priority=0.0))
        for choice in chosen:
            why = {"selection_reason": choice.reason, "selection_prob": choice.probability}
            changed = update(item).where(item.c.id == choice.id, item.c.project_id == project.id)
            desk.connection.execute(changed.values(priority=choice.priority, **why))
            desk.connection.execute(update(slot).where(slot.c.item_id == choice.id).values(priority=choice.priority))
        touch_queue(desk.connection, project)
        desk.log("queue.ordered", project.id, selected=len(chosen), scored=len(scores), random_share=random_share)
    return chosen
