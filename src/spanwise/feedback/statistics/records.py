"""What a file of feedback holds, in figures, and what a user must know before training on it.

The figures of QA-Feedback's development set are those of wu2023.md 1.4. Edits and preferences have files of
their own (`edits.py`, `preferences.py`); `cautions.py` turns figures into warnings.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark
from spanwise.feedback.statistics.cautions import Facts, cautions
from spanwise.feedback.statistics.edits import EditCounts, EditStatistics
from spanwise.feedback.statistics.preferences import PreferenceCounts, PreferenceStatistics
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


def describe(records: Iterable[FeedbackRecord]) -> Statistics:
    """The figures of `records` and the warnings that follow from them; goes through them once and keeps none."""
    spans, missing, lengths = _Spans(), _Missing(), _Lengths()
    preferences, edits = PreferenceCounts(), EditCounts()
    for record in records:
        words = [count_words(response.text) for response in record.responses]
        spans.add(record)
        missing.add(record)
        lengths.add(record, words)
        preferences.add(record, words)
        edits.add(record)
    facts = Facts(lengths.items, spans.responses, spans.marked, spans.empty, spans.overlapping)
    by_category = spans.by_category
    return Statistics(
        items=facts.items,
        responses=facts.responses,
        marked_responses=facts.marked,
        empty_responses=facts.empty,
        spans=by_category.total(),
        spans_by_category=dict(by_category.most_common()),
        spans_per_marked_response=Spread.of(spans.per_response),
        marked_without_span=spans.per_response[0],
        marked_without_feedback=spans.perfect,
        overlapping_spans=facts.overlapping,
        spans_off_words=spans.off_words,
        share_of_characters=share(spans.covered, spans.characters),
        categories={name: spans.categories[name].figures(spans.characters) for name, _ in by_category.most_common()},
        missing=missing.by_category.total(),
        missing_by_category=dict(missing.by_category.most_common()),
        missing_details=missing.figures(),
        preferences=preferences.figures(),
        edits=edits.figures(),
        lengths=lengths.figures(),
        warnings=cautions(facts, by_category, preferences.figures(), edits.figures()),
    )


@dataclass(slots=True)
class _Category:
    """Counts of the spans of one category."""

    items: int = 0
    words: Counter[int] = field(default_factory=Counter[int])
    characters: int = 0

    def figures(self, characters: int) -> CategoryStatistics:
        return CategoryStatistics(
            count=self.words.total(),
            items=self.items,
            words=Spread.of(self.words),
            short=sum(self.words[length] for length in range(SHORT_SPAN)),
            share_of_characters=share(self.characters, characters),
        )


class _Spans:
    """Counts of responses and of what is marked in them."""

    def __init__(self) -> None:
        self.responses = self.marked = self.empty = self.perfect = self.characters = 0
        self.covered = self.overlapping = self.off_words = 0
        self.per_response, self.by_category = Counter[int](), Counter[str]()
        self.categories: defaultdict[str, _Category] = defaultdict(_Category)

    def add(self, record: FeedbackRecord) -> None:
        for response in record.responses:
            self.responses += 1
            self.empty += not response.text.strip()
            if response.marked:
                self._add_marked(response)
        for name in {mark.category for response in record.responses for mark in response.spans}:
            self.categories[name].items += 1

    def _add_marked(self, response: Response) -> None:
        self.marked += 1
        self.characters += len(response.text)
        self.per_response[len(response.spans)] += 1
        self.perfect += not response.spans and not response.missing
        covered, overlapping = _extent(response)
        self.covered, self.overlapping = self.covered + covered, self.overlapping + overlapping
        for mark in response.spans:
            category = self.categories[mark.category]
            category.words[count_words(mark.quote)] += 1
            category.characters += len(mark.quote)
            self.by_category[mark.category] += 1
            self.off_words += _off_words(mark, response.text)


class _Missing:
    """Counts of missing information."""

    def __init__(self) -> None:
        self.by_category, self.passages = Counter[str](), Counter[int]()
        self.per_item, self.sentences = Counter[int](), Counter[int]()

    def add(self, record: FeedbackRecord) -> None:
        gaps = [gap for response in record.responses for gap in response.missing]
        self.per_item[len(gaps)] += 1
        self.by_category.update(gap.category for gap in gaps)
        for proof in [gap.evidence for gap in gaps if gap.evidence]:
            self.passages[proof.passage] += 1
            self.sentences[len(proof.sentences) + proof.title] += 1

    def figures(self) -> MissingStatistics:
        return MissingStatistics(
            items=self.per_item.total() - self.per_item[0],
            per_item=Spread.of(self.per_item),
            sentences=Spread.of(self.sentences),
            by_passage=[self.passages[number] for number in range(max(self.passages, default=-1) + 1)],
        )


class _Lengths:
    """Counts of lengths, each by how often it occurs."""

    def __init__(self) -> None:
        self.items = 0
        self.prompt, self.references, self.corrections = Counter[int](), Counter[int](), Counter[int]()
        self.passages, self.sentences, self.passage, self.context = (Counter[int]() for _ in range(4))
        self.responses: list[Counter[int]] = []

    def add(self, record: FeedbackRecord, words: Sequence[int]) -> None:
        """`words` are those of the responses."""
        self.items += 1
        self.prompt[count_words(record.prompt)] += 1
        self.responses += [Counter[int]() for _ in range(len(words) - len(self.responses))]
        for counts, number in zip(self.responses, words, strict=False):
            counts[number] += 1
        self.references.update(map(count_words, record.references))
        self.corrections.update(count_words(r.correction) for r in record.responses if r.correction is not None)
        texts = [passage.text for passage in record.passages]
        self.passages[len(texts)] += 1
        self.sentences.update(len(passage.sentences) for passage in record.passages)
        self.passage.update(map(count_words, texts))
        self.context[count_words(" ".join(texts))] += 1

    def figures(self) -> LengthStatistics:
        return LengthStatistics(
            prompt=Spread.of(self.prompt),
            responses=[Spread.of(counts) for counts in self.responses],
            references=Spread.of(self.references),
            corrections=Spread.of(self.corrections),
            passages_per_item=Spread.of(self.passages),
            sentences_per_passage=Spread.of(self.sentences),
            passage=Spread.of(self.passage),
            context=Spread.of(self.context),
        )


def _extent(response: Response) -> tuple[int, int]:
    """How many characters spans cover, and how many spans begin before an earlier one has ended."""
    reached = covered = overlapping = 0
    for start, end in sorted((mark.start, mark.end) for mark in response.spans):
        overlapping += start < reached
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered, overlapping


def _off_words(mark: SpanMark, text: str) -> bool:
    before, after = text[max(0, mark.start - 1) : mark.start], text[mark.end : mark.end + 1]
    inside = (before and not before.isspace()) or (after and not after.isspace())
    return bool(inside) or mark.quote != mark.quote.strip()
