"""How reliable each annotator is by category, from work that overlaps, and one record an item that all of it makes.

A unit is a segment and a category, marked or not, or a pair of responses, one better or the other. `votes.py` weighs
who said what of which unit; here are the units of records, the figures that people read, and the records that models
learn from: beliefs between 0 and 1 instead of marks that one person set.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from spanwise.core import DataError
from spanwise.feedback.crowds.votes import CrowdMethod, Votes, Weighed, by_number, halves, informedness, weigh
from spanwise.feedback.schema import Belief, FeedbackRecord, Preference, Response, SpanMark, mark
from spanwise.text import Span, get_segmenter

PAIRS = "preferences"
"""What the figures of comparisons are called among the categories."""
_JUDGED_AT_LEAST = 10
_DRIFT = 3.0  # standard errors: with a dozen people and categories nobody drifts by chance
_LEAST = 0.0005  # beliefs are kept to three digits


@dataclass(frozen=True, slots=True)
class AnnotatorFigures:
    """One annotator at one category."""

    annotator: str
    judged: int
    """Units judged."""
    said: float
    """The share of them that was marked; of pairs, in which the response listed earlier won."""
    sensitivity: float
    """How often what is wrong is marked."""
    specificity: float
    """How often what is right is left unmarked."""
    informedness: float
    """sensitivity + specificity - 1: 1 = always right, 0 = chance, below = the wrong way round."""
    low: float
    high: float
    """The 95 % interval of informedness."""
    drift: float
    """Informedness of the second half of this person's work less that of the first, as the records come."""


@dataclass(frozen=True, slots=True)
class AnnotationWorth:
    """What so many annotations of an item tell of a unit."""

    annotations: int
    told: float
    """The share of what there is to know, in bits."""
    wrong: float
    """How often the likeliest answer is wrong."""


@dataclass(frozen=True, slots=True)
class CategoryReliability:
    """One category, or the preferences."""

    category: str
    units: int
    share: float
    """How common the category is believed to be among the units."""
    annotators: tuple[AnnotatorFigures, ...]
    worth: tuple[AnnotationWorth, ...]
    best: int
    """The annotations of an item that tell most for their cost."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The figures, what to look into, and `consensus`, one record an item."""

    method: str
    items: int
    overlapping: int
    """Items that at least two people judged."""
    categories: tuple[CategoryReliability, ...]
    warnings: tuple[str, ...]
    consensus: tuple[FeedbackRecord, ...]
    left_out: dict[str, int]
    """What of the annotators' work the consensus does not hold, by kind."""

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values; without the records."""
        return asdict(replace(self, consensus=()))


def weigh_annotators(
    records: Sequence[FeedbackRecord],
    *,
    density: str = "sub-sentence",
    method: CrowdMethod = "dawid-skene",
    item_cost: float = 1.0,
    item_of: Callable[[FeedbackRecord], Hashable] | None = None,
) -> Reliability:
    """Weighs what several people said of the same responses, each in a record of their own.

    Marks are read as judgements of the segments of `density`. A new item costs as much as `item_cost` annotations,
    beside those that it gets. Records are of one item where `item_of` says the same; without it, prompt and
    responses do.
    Raises DataError for records without an annotator, and where nobody judged what somebody else did.
    """
    groups = _groups(records, item_of or _content)
    overlapping = sum(len(group) > 1 for group in groups)
    if not overlapping:
        raise DataError("No two annotators judged the same responses; reliability needs work that overlaps.")
    people = sorted({name for group in groups for name in group})
    cut = get_segmenter(density)
    categories = sorted({m.category for group in groups for r in group.values() for m in _blame(r)})
    tables = {name: _Table.of(_segment_votes(groups, name, cut), people) for name in categories}
    tables[PAIRS] = _Table.of(_pair_votes(groups), people)
    weighed = {name: table.weigh(method) for name, table in tables.items() if table.keys}
    figures = [_category(name, tables[name], weighed[name], people, item_cost) for name in weighed]
    beliefs = {name: tables[name].beliefs(weighed[name]) for name in weighed}
    consensus = [_consensus(number, group, beliefs, cut) for number, group in enumerate(groups)]
    return Reliability(
        method, len(groups), overlapping, tuple(figures), tuple(_warnings(figures)), tuple(consensus), _lost(groups)
    )


Unit = tuple[int, int, int]
"""Item, response and segment; of a pair its two responses."""
Group = dict[str, FeedbackRecord]
"""What each annotator said of one item."""


@dataclass(frozen=True)
class _Table:
    """Votes and the unit behind each number."""

    keys: list[Unit]
    votes: Votes

    @classmethod
    def of(cls, said: Iterator[tuple[Unit, str, bool]], people: Sequence[str]) -> "_Table":
        rows = list(said)
        keys = list(dict.fromkeys(unit for unit, _, _ in rows))
        number = {unit: index for index, unit in enumerate(keys)}
        person = {name: index for index, name in enumerate(people)}
        columns = np.array([(number[u], person[p], int(label)) for u, p, label in rows], dtype=np.int64).reshape(-1, 3)
        return cls(keys, Votes(columns[:, 0], columns[:, 1], columns[:, 2], len(keys), len(people)))

    def weigh(self, method: CrowdMethod) -> Weighed:
        return weigh(self.votes, method)

    def beliefs(self, weighed: Weighed) -> dict[Unit, float]:
        return dict(zip(self.keys, weighed.beliefs[:, 1].tolist(), strict=True))


def _content(record: FeedbackRecord) -> Hashable:
    return record.prompt, record.messages, record.passages, tuple(response.text_hash for response in record.responses)


def _groups(records: Sequence[FeedbackRecord], item_of: Callable[[FeedbackRecord], Hashable]) -> list[Group]:
    """Records by item; who judged an item twice is heard as they judged it last."""
    groups: dict[Hashable, Group] = {}
    for record in records:
        if not record.annotator:
            raise DataError(f"The record {record.id!r:.60} has no annotator; reliability is that of people with names.")
        groups.setdefault(item_of(record), {})[record.annotator] = record
    return list(groups.values())


def _blame(record: FeedbackRecord) -> Iterator[SpanMark]:
    return (m for response in record.responses for m in response.spans if m.blames)


def _segment_votes(
    groups: Sequence[Group], category: str, cut: Callable[[str], tuple[Span, ...]]
) -> Iterator[tuple[Unit, str, bool]]:
    for item, group in enumerate(groups):
        for person, record in group.items():
            for position, response in enumerate(record.responses):
                marks = [m.span for m in response.spans if m.blames and m.category == category]
                for number, segment in enumerate(cut(response.text) if response.marked else ()):
                    yield (item, position, number), person, any(segment.overlap(span) for span in marks)


def _pair_votes(groups: Sequence[Group]) -> Iterator[tuple[Unit, str, bool]]:
    """Decided comparisons, read with the earlier response first; ties say nothing of which is better."""
    for item, group in enumerate(groups):
        for person, record in group.items():
            for p in record.preferences:
                if p.winner != "tie":
                    first = p.first if p.winner == "first" else p.second
                    yield (
                        (item, min(p.first, p.second), max(p.first, p.second)),
                        person,
                        first == min(p.first, p.second),
                    )


def _category(
    name: str, table: _Table, weighed: Weighed, people: Sequence[str], item_cost: float
) -> CategoryReliability:
    votes = table.votes
    judged = np.bincount(votes.annotator, minlength=len(people))
    said = np.bincount(votes.annotator, weights=votes.label, minlength=len(people)) / judged.clip(1)
    value, error = informedness(weighed)
    early_late = informedness(halves(votes, weighed.beliefs))
    drift = early_late[0][1::2] - early_late[0][::2]
    rows = [
        AnnotatorFigures(
            person, int(judged[i]), float(said[i]),
            float(weighed.confusion[i, 1, 1]), float(weighed.confusion[i, 0, 0]),
            float(value[i]), float(value[i] - 1.96 * error[i]), float(value[i] + 1.96 * error[i]), float(drift[i]),
        )
        for i, person in enumerate(people) if judged[i]
    ]  # fmt: skip
    known = Weighed(weighed.beliefs, weighed.prior, weighed.confusion[judged > 0], weighed.seen[judged > 0])
    there_is = float(-(known.prior * np.log2(known.prior)).sum())
    told = by_number(known, min(len(rows), 10))
    worth = tuple(AnnotationWorth(n, bits / there_is, wrong) for n, (bits, wrong) in enumerate(told, start=1))
    best = max(worth, key=lambda row: row.told / (item_cost + row.annotations)).annotations
    return CategoryReliability(name, len(table.keys), float(weighed.prior[1]), tuple(rows), worth, best)


def _warnings(categories: Sequence[CategoryReliability]) -> Iterator[str]:
    for figures in categories:
        for row in figures.annotators:
            where = f"{row.annotator}: {figures.category}"
            known = f"informedness {row.informedness:.2f}, {row.low:.2f} to {row.high:.2f}, on {row.judged:,} units"
            rare = min(figures.share, 1 - figures.share) * row.judged
            if rare < _JUDGED_AT_LEAST:
                continue
            if row.high < 0:
                yield f"{where} is the wrong way round ({known}); ask how the guidelines were read."
            elif row.low <= 0:
                yield f"{where} cannot be told from chance ({known}); look at this person's work."
            elif abs(row.drift) > _DRIFT * _halves_error(row):
                yield (
                    f"{where} {'falls' if row.drift < 0 else 'rises'} by {abs(row.drift):.2f} from the first half of "
                    f"the work to the second ({known}); compare early and late items."
                )


def _halves_error(row: AnnotatorFigures) -> float:
    """The error of a difference of two halves is twice that of the whole."""
    return 2 * (row.high - row.low) / (2 * 1.96)


def _consensus(
    item: int, group: Group, beliefs: Mapping[str, Mapping[Unit, float]], cut: Callable[[str], tuple[Span, ...]]
) -> FeedbackRecord:
    first = next(iter(group.values()))
    return first.model_copy(
        update={
            "annotator": "consensus",
            "responses": tuple(
                _response(item, position, [record.responses[position] for record in group.values()], beliefs, cut)
                for position in range(len(first.responses))
            ),
            "preferences": tuple(_preferences(item, group, beliefs.get(PAIRS, {}))),
            "provenance": {"annotators": sorted(group), "records": [record.id for record in group.values()]},
        }
    )


def _response(
    item: int,
    position: int,
    versions: Sequence[Response],
    beliefs: Mapping[str, Mapping[Unit, float]],
    cut: Callable[[str], tuple[Span, ...]],
) -> Response:
    text = versions[0].text
    judged = [version for version in versions if version.marked]
    likely: list[Belief] = []
    for number, segment in enumerate(cut(text) if judged else ()):
        start, end = _trimmed(text, segment)
        for category, units in beliefs.items():
            probability = units.get((item, position, number), 0.0) if category != PAIRS else 0.0
            if probability >= _LEAST and start < end:
                likely.append(
                    Belief(start=start, end=end, category=category, probability=round(min(probability, 1.0), 3))
                )
    gaps = Counter(gap for version in judged for gap in dict.fromkeys(version.missing))
    corrections = [version.correction for version in versions if version.correction is not None]
    return Response(
        text=text,
        marked=bool(judged),
        spans=tuple(mark(text, b.start, b.end, b.category) for b in likely if b.probability > 0.5),
        missing=tuple(gap for gap, count in gaps.items() if 2 * count > len(judged)),
        correction=corrections[0] if corrections else None,
        model=versions[0].model,
        ratings=versions[0].ratings,
        beliefs=tuple(likely),
    )


def _preferences(item: int, group: Group, beliefs: Mapping[Unit, float]) -> Iterator[Preference]:
    answers = [preference for record in group.values() for preference in record.preferences]
    compared = Counter((min(p.first, p.second), max(p.first, p.second)) for p in answers)
    ties = Counter((min(p.first, p.second), max(p.first, p.second)) for p in answers if p.winner == "tie")
    for (first, second), count in compared.items():
        likely = beliefs.get((item, first, second), 0.5)
        if 2 * ties[first, second] > count or likely == 0.5:
            yield Preference(first=first, second=second, winner="tie")
        else:
            winner, confidence = ("first", likely) if likely > 0.5 else ("second", 1 - likely)
            yield Preference(first=first, second=second, winner=winner, confidence=round(confidence, 3))


def _lost(groups: Sequence[Group]) -> dict[str, int]:
    """What several people's records hold that one record of all does not."""
    lost: Counter[str] = Counter()
    for group in groups:
        for record in group.values():
            marks = [m for response in record.responses for m in response.spans]
            lost["severities of marks"] += sum(m.severity is not None for m in marks)
            lost["praise"] += sum(not m.blames for m in marks)
            lost["notes of marks"] += sum(bool(m.note) for m in marks)
            lost["evidence of marks"] += sum(bool(m.evidence) for m in marks)
        for versions in zip(*(record.responses for record in group.values()), strict=True):
            corrections = {version.correction for version in versions if version.correction is not None}
            lost["corrections that differ from the one kept"] += max(0, len(corrections) - 1)
    return {kind: number for kind, number in lost.items() if number}


def _trimmed(text: str, segment: Span) -> tuple[int, int]:
    """Without the white space at its ends."""
    quote = segment.of(text)
    start = segment.start + len(quote) - len(quote.lstrip())
    return start, max(start, start + len(quote.strip()))
