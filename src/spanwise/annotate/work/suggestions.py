"""Suggestions: marks that a reward model or a critic proposes, for people to take over, change or ignore.

What came of them is stored with each span (`origin`), and a share of items is kept free of suggestions, so that
one can measure how far suggestions lead people. A model is any `RewardSource`; a critic's marks come as records.
"""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, select

from spanwise.annotate.store import (
    Body,
    BodyMissing,
    BodySpan,
    CategoryConfig,
    Database,
    Item,
    Project,
    audit,
    digest,
    load_items,
    new_id,
    response_key,
    tables,
)
from spanwise.annotate.work.validation import annotated_keys
from spanwise.core import ConfigError, derive_seed
from spanwise.feedback import (
    FeedbackRecord,
    Record,
    Response,
    RewardSource,
    Sample,
    SegmentScores,
    Unscored,
    scores_of,
)

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


class SuggestedMarks(Record):
    """What became of records that were to be proposed."""

    items: int
    marks: int
    already: int
    """Items for which the same annotator's marks of the same version were there."""
    unknown_answers: int
    """Marked answers that no item of the project has."""
    unknown_categories: dict[str, int]
    """Marks and gaps whose category the project does not have, which are not proposed."""


def suggest_marks(database: Database, project: Project, records: Iterable[FeedbackRecord]) -> SuggestedMarks:
    """Stores marks and gaps of records, such as a critic's, as suggestions for the items with the same answers.

    The source is the record's annotator; its version is what it said. An answer is told by its text and its prompt.
    """
    known = {category.name for category in (*project.config.span_categories, *project.config.missing_categories)}
    already, unknown = 0, Counter[str]()
    with database.write() as connection:
        places = _places(connection, project)
        by_item: dict[tuple[str, str], Body] = {}
        lost = 0
        for record in records:
            for response in (response for response in record.responses if response.marked):
                targets = places.get((record.prompt, response.text_hash), [])
                lost += not targets
                unknown.update(mark.category for mark in response.spans if mark.category not in known)
                unknown.update(gap.category for gap in response.missing if gap.category not in known)
                for item_id, key in targets:
                    of_item = (item_id, record.annotator or "imported")
                    by_item[of_item] = _with_marks(by_item.get(of_item, Body()), key, response, known)
        rows: list[dict[str, Any]] = []
        for (item_id, source), body in by_item.items():
            version = digest(body.model_dump_json())[:16]
            judged = connection.execute(_same(item_id, source, version)).first() is not None
            already += judged
            rows += [] if judged else [_marks_row(item_id, source, version, body) | {"at": database.now()}]
        if rows:
            connection.execute(insert(tables.suggestion), rows)
        audit.record(connection, database, "suggestions.made", project.id, source="records", items=len(rows))
    marks = sum(len(row["body"]["spans"]) for row in rows)
    return SuggestedMarks(
        items=len(rows), marks=marks, already=already, unknown_answers=lost, unknown_categories=dict(unknown)
    )


def _places(connection: Connection, project: Project) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Of each prompt and answer the items that have both, with the answer's key."""
    item, response = tables.item, tables.response
    query = select(item.c.id, item.c.prompt, response.c.k, response.c.text_sha256).join_from(item, response)
    places: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in connection.execute(query.where(item.c.project_id == project.id, item.c.purpose == "normal")):
        places.setdefault((row.prompt, row.text_sha256), []).append((row.id, response_key(row.k)))
    return places


def _with_marks(body: Body, key: str, response: Response, known: Container[str]) -> Body:
    spans = [
        BodySpan(
            id=f"{key}-{number}",
            target=key,
            start=mark.start,
            end=mark.end,
            quote=mark.quote,
            category=mark.category,
            severity=mark.severity,
            comment=mark.note,
            origin="model",
        )
        for number, mark in enumerate(response.spans)
        if mark.category in known
    ]
    gaps = [
        BodyMissing(target=key, category=gap.category, evidence=gap.evidence)
        for gap in response.missing
        if gap.category in known
    ]
    return body.model_copy(update={"spans": (*body.spans, *spans), "missing": (*body.missing, *gaps)})


def _same(item_id: str, source: str, version: str) -> Select[Any]:
    suggestion = tables.suggestion
    same = suggestion.c.item_id == item_id, suggestion.c.source == source, suggestion.c.version == version
    return select(suggestion.c.id).where(*same)


def _marks_row(item_id: str, source: str, version: str, body: Body) -> dict[str, Any]:
    name = new_id()
    spans = tuple(span.model_copy(update={"id": f"{name}-{span.id}", "suggestion_id": name}) for span in body.spans)
    proposed = body.model_copy(update={"spans": spans}).model_dump(mode="json")
    return {"id": name, "item_id": item_id, "source": source, "version": version, "body": proposed, "score": None}


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
