"""Between feedback records, which training reads, and items with bodies, which people work on.

A record that is imported comes out equal; a record made of somebody's work keeps under `provenance.annotation` what
the record has no field for. Pure functions, without a database.
"""

from collections.abc import Iterator
from typing import Any

from spanwise.annotate.store import (
    Annotation,
    Antecedent,
    Body,
    BodyCorrection,
    BodyMissing,
    BodyPreference,
    BodySpan,
    Item,
    ItemResponse,
    Project,
    digest,
    response_key,
    response_position,
)
from spanwise.feedback import FeedbackRecord, MissingInfo, Preference, Response, SpanMark

_CHOICES = {"first": "a", "second": "b", "tie": "tie"}
_WINNERS = {"a": "first", "b": "second", "tie": "tie", "both_bad": "tie"}


def has_feedback(record: FeedbackRecord) -> bool:
    """Whether anybody said anything in `record`, be it that a response has no errors."""
    return bool(record.preferences) or any(r.marked or r.correction is not None for r in record.responses)


def marked_keys(record: FeedbackRecord) -> tuple[str, ...]:
    """The responses that were looked at for marks."""
    return tuple(response_key(k) for k, response in enumerate(record.responses) if response.marked)


def other_polarity(record: FeedbackRecord, project: Project) -> str | None:
    """Why marks of `record` would come back as their opposite: only the project's categories say what praises."""
    for mark in (mark for response in record.responses for mark in response.spans):
        category = project.config.category(mark.category)
        known = "negative" if category is None else category.polarity
        if mark.polarity != known:
            return (
                f"a mark of {mark.category!r:.60} is {mark.polarity} and the category is {known} in this project; give "
                f"its config a category of that name with polarity: {mark.polarity}, or rename the marks."
            )
    return None


def body_of(record: FeedbackRecord) -> Body:
    """What `record` says about its responses; raises ValueError when that is more than a body holds."""
    responses = [(response_key(k), response) for k, response in enumerate(record.responses)]
    spans = [(key, response, mark) for key, response in responses for mark in response.spans]
    return Body(
        no_errors=tuple(key for key, r in responses if r.marked and not r.spans and not r.missing),
        spans=tuple(_body_span(f"s{n + 1}", key, r.text, mark) for n, (key, r, mark) in enumerate(spans)),
        missing=tuple(
            BodyMissing(target=key, category=gap.category, evidence=gap.evidence, comment=gap.note)
            for key, r in responses
            for gap in r.missing
        ),
        corrections=tuple(
            BodyCorrection(target=key, text=r.correction) for key, r in responses if r.correction is not None
        ),
        preferences=tuple(
            BodyPreference.model_validate(
                {"a": response_key(p.first), "b": response_key(p.second), "choice": _CHOICES[p.winner]}
            )
            for p in record.preferences
        ),
    )


def record_of(item: Item, said: Annotation, project: Project, *, anonymise: bool = False) -> FeedbackRecord:
    """The record of one annotation of `item`; the very record that was imported, where it was."""
    name = pseudonym(project, said) if anonymise and said.annotator is not None else said.annotator
    imported = said.kind == "imported" and said.provenance is not None
    return FeedbackRecord(
        id=said.provenance["id"] if imported and said.provenance else _record_id(item, said, name),
        prompt=item.prompt,
        messages=item.messages,
        tools=item.tools,
        passages=item.passages,
        responses=tuple(_response(response, said, project) for response in item.responses),
        preferences=tuple(_preferences(said.body, project)),
        references=item.references,
        annotator=name,
        provenance=said.provenance["provenance"] if imported and said.provenance else _provenance(item, said, name),
    )


def record_of_item(item: Item) -> FeedbackRecord:
    """The record of an item that nobody has annotated."""
    responses = tuple(Response(text=r.text, model=r.model) for r in item.responses)
    return FeedbackRecord(
        id=item.ext_id,
        prompt=item.prompt,
        messages=item.messages,
        tools=item.tools,
        passages=item.passages,
        responses=responses,
        references=item.references,
        provenance=item.meta,
    )


def pseudonym(project: Project, said: Annotation) -> str:
    """A name for an annotator that is the same in every export of the project and tells nothing."""
    return "a" + digest(f"{project.id}/{said.user_id or said.annotator}")[:8]


def _body_span(name: str, key: str, text: str, mark: SpanMark) -> BodySpan:
    return BodySpan(
        id=name,
        target=key,
        start=mark.start,
        end=mark.end,
        quote=mark.quote,
        category=mark.category,
        severity=mark.severity,
        comment=mark.note,
        origin="imported",
        evidence=mark.evidence,
        antecedent=None if mark.antecedent is None else found_before(mark.antecedent, text, mark.start),
    )


def found_before(quote: str, text: str, end: int) -> Antecedent:
    """Where `quote` last occurs in `text[:end]`; without offsets where it does not."""
    start = text.rfind(quote, 0, end) if quote else -1
    if start < 0:
        return Antecedent(text=quote)
    return Antecedent(text=quote, start=start, end=start + len(quote))


def _response(response: ItemResponse, annotation: Annotation, project: Project) -> Response:
    key, body = response.key, annotation.body
    corrections = [edit.text for edit in body.corrections if edit.target == key]
    return Response(
        text=response.text,
        text_hash=response.sha256,
        marked=key in annotation.marked,
        spans=tuple(_mark(span, project) for span in body.spans if span.target == key),
        missing=tuple(
            MissingInfo(category=gap.category, evidence=gap.evidence, note=gap.comment)
            for gap in body.missing
            if gap.target == key
        ),
        correction=corrections[0] if corrections else None,
        model=response.model,
    )


def _mark(span: BodySpan, project: Project) -> SpanMark:
    category = project.config.category(span.category)
    return SpanMark(
        start=span.start,
        end=span.end,
        quote=span.quote,
        category=span.category,
        evidence=span.evidence,
        antecedent=span.antecedent.text if span.antecedent else None,
        note=span.comment,
        polarity="negative" if category is None else category.polarity,
        severity=span.severity,
    )


def _preferences(body: Body, project: Project) -> Iterator[Preference]:
    """Of several aspects the project's first; a ranking says what its pairs say."""
    aspect = project.config.aspects[0]
    for p in body.preferences:
        if p.aspect == aspect:
            yield Preference.model_validate(
                {"first": response_position(p.a), "second": response_position(p.b), "winner": _WINNERS[p.choice]}
            )
    if body.preferences:
        return
    for ranking in body.rankings:
        placed = [(response_position(key), rank) for rank, tier in enumerate(ranking.tiers) for key in tier]
        for i, (a, rank_a) in enumerate(placed if ranking.aspect == aspect else []):
            for b, rank_b in placed[i + 1 :]:
                yield Preference(first=a, second=b, winner="tie" if rank_a == rank_b else "first")


def _record_id(item: Item, annotation: Annotation, name: str | None) -> str:
    who = "adjudicated" if annotation.kind == "adjudicated" else name or annotation.kind
    later = f"/{annotation.round}" if annotation.round != item.round else ""
    return f"{item.ext_id}#{who}{later}" + (f"/v{annotation.version}" if annotation.version > 1 else "")


def _provenance(item: Item, annotation: Annotation, name: str | None) -> dict[str, Any]:
    shown = annotation.model_dump(
        mode="json",
        include={
            "id", "kind", "round", "version", "extra", "label_set_version", "guideline_version", "started_at",
            "submitted_at", "suggested", "response_order", "sha256",
        },
    )  # fmt: skip
    body = annotation.body.model_dump(mode="json")
    details = {"item": item.ext_id, "annotator": name, **shown, "active_seconds": annotation.active_ms / 1000}
    return {name: value for name, value in item.meta.items() if name != "deviations"} | {
        "annotation": details | {"body": body}
    }
