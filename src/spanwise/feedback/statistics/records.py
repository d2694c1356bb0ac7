"""What a file of feedback holds, in figures, and what a user must know before training on it.

The figures of QA-Feedback's development set are those of wu2023.md 1.4. Edits and preferences have files of
their own (`edits.py`, `preferences.py`); `cautions.py` turns figures into warnings.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark
from spanwise.feedback.statistics.cautions import Facts, cautions
from spanwise.feedback.statistics.edits import EditStatistics, describe_edits
from spanwise.feedback.statistics.preferences import PreferenceStatistics, describe_preferences
from spanwise.feedback.statistics.spread import Spread, share
from spanwise.text import count_words

SHORT_SPAN = 5
"""Shorter spans of relevance are left out of the paper's labels."""


@dataclass(frozen=True, slots=True)
class CategoryStatistics:
    """The spans of one category."""

    count: int
    items: int
    words: Spread | None
    short: int
    """Spans of fewer than five words."""
    share_of_characters: float | None
    """Of all characters of marked responses."""


@dataclass(frozen=True, slots=True)
class MissingStatistics:
    """The missing information that annotators named."""

    items: int
    per_item: Spread | None
    sentences: Spread | None
    """Sentences named per mark, the title counted as one."""
    by_passage: list[int]
    """How often passage 0, 1, ... was named."""


@dataclass(frozen=True, slots=True)
class LengthStatistics:
    """Lengths in words, except where the name says otherwise."""

    prompt: Spread | None
    responses: list[Spread | None]
    """By position in the record."""
    references: Spread | None
    corrections: Spread | None
    passages_per_item: Spread | None
    sentences_per_passage: Spread | None
    passage: Spread | None
    context: Spread | None
    """All passages of an item together, titles left out."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """All figures of a set of records; `as_dict` is their JSON form."""

    items: int
    responses: int
    marked_responses: int
    empty_responses: int
    spans: int
    spans_by_category: dict[str, int]
    spans_per_marked_response: Spread | None
    marked_without_span: int
    marked_without_feedback: int
    """Neither spans nor missing information: judged perfect."""
    overlapping_spans: int
    spans_off_words: int
    """Spans that begin or end elsewhere than at white space."""
    share_of_characters: float | None
    categories: dict[str, CategoryStatistics]
    missing: int
    missing_by_category: dict[str, int]
    missing_details: MissingStatistics
    preferences: PreferenceStatistics
    edits: EditStatistics
    lengths: LengthStatistics
    warnings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `preferences` holds the three counts, the other preference figures stand beside it."""
        figures = asdict(self)
        details = figures["preferences"]
        counts = {outcome: details.pop(outcome) for outcome in ("first", "second", "tie")}
        rate = details.pop("first_listed_win_rate")
        figures |= {"preferences": counts, "first_listed_win_rate": rate, "preference_details": details}
        return figures | {"warnings": figures.pop("warnings")}


def describe(records: Sequence[FeedbackRecord]) -> Statistics:
    """The figures of `records` and the warnings that follow from them."""
    responses = [response for record in records for response in record.responses]
    marked = [response for response in responses if response.marked]
    characters = sum(len(response.text) for response in marked)
    marks = [mark for response in marked for mark in response.spans]
    missing = Counter(gap.category for response in marked for gap in response.missing)
    preferences, edits = describe_preferences(records), describe_edits(records)
    by_category = Counter(mark.category for mark in marks)
    facts = Facts(len(records), len(responses), len(marked), _empty(responses), sum(map(_overlapping, marked)))
    return Statistics(
        items=len(records),
        responses=len(responses),
        marked_responses=len(marked),
        empty_responses=facts.empty,
        spans=len(marks),
        spans_by_category=dict(by_category.most_common()),
        spans_per_marked_response=Spread.of([len(response.spans) for response in marked]),
        marked_without_span=sum(not response.spans for response in marked),
        marked_without_feedback=sum(not response.spans and not response.missing for response in marked),
        overlapping_spans=facts.overlapping,
        spans_off_words=sum(_off_words(mark, response.text) for response in marked for mark in response.spans),
        share_of_characters=share(sum(_covered(response) for response in marked), characters),
        categories={name: _category(name, records, characters) for name, _ in by_category.most_common()},
        missing=missing.total(),
        missing_by_category=dict(missing.most_common()),
        missing_details=_missing(records),
        preferences=preferences,
        edits=edits,
        lengths=_lengths(records),
        warnings=cautions(facts, by_category, preferences, edits),
    )


def _category(name: str, records: Sequence[FeedbackRecord], characters: int) -> CategoryStatistics:
    by_item = [
        [mark for response in record.responses for mark in response.spans if mark.category == name]
        for record in records
    ]
    marks = [mark for item_marks in by_item for mark in item_marks]
    lengths = [count_words(mark.quote) for mark in marks]
    return CategoryStatistics(
        count=len(marks),
        items=sum(bool(item_marks) for item_marks in by_item),
        words=Spread.of(lengths),
        short=sum(length < SHORT_SPAN for length in lengths),
        share_of_characters=share(sum(len(mark.quote) for mark in marks), characters),
    )


def _missing(records: Sequence[FeedbackRecord]) -> MissingStatistics:
    by_item = [[gap for response in record.responses for gap in response.missing] for record in records]
    evidence = [gap.evidence for gaps in by_item for gap in gaps if gap.evidence]
    passages = Counter(proof.passage for proof in evidence)
    return MissingStatistics(
        items=sum(bool(gaps) for gaps in by_item),
        per_item=Spread.of([len(gaps) for gaps in by_item]),
        sentences=Spread.of([len(proof.sentences) + proof.title for proof in evidence]),
        by_passage=[passages[number] for number in range(max(passages, default=-1) + 1)],
    )


def _lengths(records: Sequence[FeedbackRecord]) -> LengthStatistics:
    passages = [passage for record in records for passage in record.passages]
    texts = [[response.text for response in record.responses] for record in records]
    corrections = [r.correction for record in records for r in record.responses if r.correction is not None]
    width = max(map(len, texts), default=0)
    return LengthStatistics(
        prompt=_words(record.prompt for record in records),
        responses=[_words(column[k] for column in texts if k < len(column)) for k in range(width)],
        references=_words(reference for record in records for reference in record.references),
        corrections=_words(corrections),
        passages_per_item=Spread.of([len(record.passages) for record in records]),
        sentences_per_passage=Spread.of([len(passage.sentences) for passage in passages]),
        passage=_words(passage.text for passage in passages),
        context=_words(" ".join(passage.text for passage in record.passages) for record in records),
    )


def _words(texts: Iterable[str]) -> Spread | None:
    return Spread.of([count_words(text) for text in texts])


def _empty(responses: Sequence[Response]) -> int:
    return sum(not response.text.strip() for response in responses)


def _covered(response: Response) -> int:
    return len({index for mark in response.spans for index in range(mark.start, mark.end)})


def _overlapping(response: Response) -> int:
    """How many spans begin before an earlier one has ended."""
    reached = overlapping = 0
    for start, end in sorted((mark.start, mark.end) for mark in response.spans):
        overlapping += start < reached
        reached = max(reached, end)
    return overlapping


def _off_words(mark: SpanMark, text: str) -> bool:
    before, after = text[: mark.start], text[mark.end :]
    inside = (before and not before[-1].isspace()) or (after and not after[0].isspace())
    return bool(inside) or mark.quote != mark.quote.strip()
