"""Suggestions: marks that a reward model proposes, for people to take over, change or ignore.

What came of them is stored with each span (`origin`), and a share of items is kept free of suggestions, so that
one can measure how far suggestions lead people. A model is any `RewardSource`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from spanwise.annotate.store import (
    Body,
    BodySpan,
    CategoryConfig,
    Database,
    Item,
    Project,
    audit,
    load_items,
    new_id,
    tables,
)
from spanwise.annotate.work.validation import annotated_keys
from spanwise.core import ConfigError, derive_seed
from spanwise.feedback import Record, RewardSource, Sample, SegmentScores, Unscored, scores_of

_AT_ONCE = 32


class Suggestion(Record):
    """What one model proposes for one item."""

    id: str
    source: str
    version: str
    score: float | None
    """The lowest score that the model gave; low is bad."""
    body: Body


def is_held_out(item_id: str, share: float) -> bool:
    """Whether an item is annotated without suggestions, the same whoever asks and whenever."""
    return derive_seed(0, f"suggestion-holdout/{item_id}") / 2**63 < share


def load_suggestions(connection: Connection, item_id: str) -> tuple[Suggestion, ...]:
    """All suggestions for an item."""
    suggestion = tables.suggestion
    query = select(suggestion).where(suggestion.c.item_id == item_id).order_by(suggestion.c.source, suggestion.c.id)
    return tuple(
        Suggestion(body=Body.model_validate(row["body"]), **{k: row[k] for k in ("id", "source", "version", "score")})
        for row in connection.execute(query).mappings()
    )


def suggestions_for(database: Database, item_id: str) -> tuple[Suggestion, ...]:
    """The same, for pages that show an item outside the queue."""
    with database.read() as connection:
        return load_suggestions(connection, item_id)


def suggest(
    database: Database,
    project: Project,
    source: RewardSource,
    *,
    threshold: float = 0.0,
    item_ids: Sequence[str] | None = None,
) -> int:
    """Stores what `source` proposes for items that it has not judged in this version; returns for how many.

    A segment that scores below `threshold` is proposed as the first category of the source's group. Raises
    ConfigError when the project has no such category.
    """
    category = category_of(source, project)
    ids = _unjudged(database, project, source, item_ids)
    for start in range(0, len(ids), _AT_ONCE):
        with database.read() as connection:
            items = load_items(connection, project, ids[start : start + _AT_ONCE])
        scored = score_items(source, list(items.values()), project)
        rows = [
            _row(source, items[item_id], by_key, _Proposal(category.name, threshold, new_id()))
            for item_id, by_key in scored.items()
        ]
        with database.write() as connection:
            connection.execute(insert(tables.suggestion), [row | {"at": database.now()} for row in rows])
            audit.record(connection, database, "suggestions.made", project.id, source=source.name, items=len(rows))
    return len(ids)


def category_of(source: RewardSource, project: Project) -> CategoryConfig:
    """The category that a source's low scores are proposed as: the one of its name, or the first of its group."""
    for category in project.config.span_categories:
        if source.category in (category.name, category.group):
            return category
    raise ConfigError(
        f"{source.name} judges {source.category}, and no category of {project.config.name} is of that group."
    )


def score_items(source: RewardSource, items: Sequence[Item], project: Project) -> dict[str, dict[str, SegmentScores]]:
    """What `source` says of the annotated responses of each item, by item and response."""
    asked = [(item, key) for item in items for key in annotated_keys(item, project.config)]
    samples = [Sample.of(item, _text(item, key)) for item, key in asked]
    by_item: dict[str, dict[str, SegmentScores]] = {item.id: {} for item in items}
    for (item, key), scores in zip(asked, scores_of(source, samples), strict=True):
        by_item[item.id][key] = scores
    return by_item


def _text(item: Item, key: str) -> str:
    response = item.response(key)
    return response.text if response else ""


def _unjudged(database: Database, project: Project, source: RewardSource, item_ids: Sequence[str] | None) -> list[str]:
    item, suggestion = tables.item, tables.suggestion
    judged = (
        suggestion.c.item_id == item.c.id,
        suggestion.c.source == source.name,
        suggestion.c.version == source.version,
    )
    query = select(item.c.id).where(item.c.project_id == project.id, item.c.purpose == "normal")
    query = query.where(~select(suggestion.c.id).where(*judged).exists()).order_by(item.c.position)
    query = query if item_ids is None else query.where(item.c.id.in_(item_ids))
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def _row(source: RewardSource, item: Item, by_key: dict[str, SegmentScores], proposal: "_Proposal") -> dict[str, Any]:
    values = [value for scores in by_key.values() for value in numbers(scores)]
    spans = [span for key, scores in by_key.items() for span in _spans(_text(item, key), key, scores, proposal)]
    return {
        "id": proposal.id,
        "item_id": item.id,
        "source": source.name,
        "version": source.version,
        "body": Body(spans=tuple(spans)).model_dump(mode="json"),
        "score": min(values, default=None),
    }


class _Proposal(NamedTuple):
    """What low scores are proposed as."""

    category: str
    threshold: float
    id: str


def numbers(scores: SegmentScores) -> list[float]:
    """The scores that were given; what could not be scored says nothing."""
    return [score.value for score in scores.scores if not isinstance(score.value, Unscored)]


def _spans(text: str, key: str, scores: SegmentScores, proposal: _Proposal) -> list[BodySpan]:
    """The segments below the threshold, white space at their ends left out."""
    spans: list[BodySpan] = []
    for number, score in enumerate(scores.scores):
        if isinstance(score.value, Unscored) or score.value >= proposal.threshold:
            continue
        quote = score.span.of(text)
        start = score.span.start + len(quote) - len(quote.lstrip())
        end = score.span.end - (len(quote) - len(quote.rstrip()))
        if start < end:
            span = BodySpan(
                id=f"{proposal.id}-{key}-{number}",
                target=key,
                start=start,
                end=end,
                quote=text[start:end],
                category=proposal.category,
                origin="model",
                suggestion_id=proposal.id,
            )
            spans.append(span)
    return spans
