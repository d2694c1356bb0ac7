"""How far marks of one kind (a critic's, a reader's comments) may stand in for people's marks on the same answers.

Per category: precision and recall of spans (a pair from an intersection over union of one half on), the area under the
ROC curve of its confidence over sub-sentences, Krippendorff's alpha on sub-sentences, and a verdict by a stated rule.
All intervals are 95 % bootstraps over answers. An answer that only one side marked is left out and counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spanwise.core import numpy_generator
from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark
from spanwise.feedback.statistics.agreement import Alpha, Marked, coincidences, match_spans, pooled_alpha
from spanwise.text import get_segmenter

Verdict = Literal["may replace", "may pre-mark", "must not replace"]
REPLACES_FROM, PREMARKS_FROM, ERRORS_NEEDED = 0.8, 0.5, 30
RULE = (
    f"may replace people: at least {ERRORS_NEEDED} marks of people, and the lower ends of alpha, precision and recall "
    f"are {REPLACES_FROM:g} or more; may pre-mark for people: at least {ERRORS_NEEDED} marks of people, the lower end "
    f"of precision is {PREMARKS_FROM:g} or more (a suggestion is more often right than wrong) and that of AUROC above "
    "0.5; else it must not be used instead of people."
)
"""What the verdicts mean; 0.8 is Krippendorff's bound for conclusions that can be relied on."""
_LEVEL = "sub-sentence"
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval; None where there is nothing to take it of."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        return f"{self.value:.2f}" + ("" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]")


@dataclass(frozen=True, slots=True)
class CategoryStandIn:
    """One category."""

    category: str
    people: int
    """Marks of people."""
    other: int
    """Marks of the other side."""
    found: int
    """Pairs of both."""
    precision: Rate
    recall: Rate
    auroc: Rate
    alpha: Alpha
    cost_per_error: float | None
    """What a found error cost, where a price is known: all costs by the errors found in this category."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StandInReport:
    """The whole report."""

    answers: int
    """Pairs of markings of one answer: two people who marked it make two."""
    only_people: int
    only_other: int
    """Answers that only one side marked."""
    categories: tuple[CategoryStandIn, ...]
    """Every category that either side marks, and "any error" of all of them together."""
    rule: str = RULE

    def lines(self) -> Iterator[str]:
        """The report in sentences."""
        left = f"; {self.only_people:,} marked by people only, {self.only_other:,} by the other only"
        yield f"Against people on {self.answers:,} answers{left}:"
        for c in self.categories:
            cost = "" if c.cost_per_error is None else f", {c.cost_per_error:.6f} a found error"
            alpha = Rate(c.alpha.value, c.alpha.low, c.alpha.high)
            yield (
                f"  {c.category}: {c.verdict}; precision {c.precision}, recall {c.recall}, AUROC {c.auroc}, "
                f"alpha {alpha}, {c.people:,} marks of people, {c.other:,} of the other, {c.found:,} found{cost}"
            )
        yield f"Rule: {self.rule}"


class _Pair(NamedTuple):
    """One answer as a person marked it, and as the other side did."""

    people: Response
    other: Response


ANY = "any error"


def compare_marks(
    people: Sequence[FeedbackRecord],
    other: Sequence[FeedbackRecord],
    *,
    cost: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> StandInReport:
    """Compares marks with people's on answers that both marked, told by prompt and text; praise is left out."""
    pairs, only_people, only_other = _paired(people, other)
    names = sorted({mark.category for pair in pairs for response in pair for mark in _blaming(response)})
    random = numpy_generator(seed, "reliability/bootstrap")
    weights = random.multinomial(max(1, len(pairs)), np.full(max(1, len(pairs)), 1 / max(1, len(pairs))), resamples)
    judged = tuple(
        _category(name, pairs, weights.astype(float), cost, {"resamples": resamples, "seed": seed})
        for name in ([*names, ANY] if pairs else [])
    )
    return StandInReport(len(pairs), only_people, only_other, judged)


def _paired(people: Sequence[FeedbackRecord], other: Sequence[FeedbackRecord]) -> tuple[list[_Pair], int, int]:
    """Pairs of markings of one answer, and how many answers only one side marked."""
    by_answer: dict[tuple[str, str], Response] = {}
    for record in other:
        by_answer |= {(record.prompt, r.text_hash): r for r in record.responses if r.marked}
    pairs: list[_Pair] = []
    seen = set[tuple[str, str]]()
    for record in people:
        for response in record.responses:
            if response.marked:
                key = (record.prompt, response.text_hash)
                seen.add(key)
                pairs += [_Pair(response, by_answer[key])] if key in by_answer else []
    return pairs, len(seen - by_answer.keys()), len(by_answer.keys() - seen)


def _category(
    name: str, pairs: Sequence[_Pair], weights: Counts, cost: float | None, options: Mapping[str, int]
) -> CategoryStandIn:
    rows = np.array([_span_counts(pair, name) for pair in pairs], dtype=float)
    people, other, found = (int(total) for total in rows.sum(axis=0))
    precision, recall = _rate(rows[:, 2], rows[:, 1], weights), _rate(rows[:, 2], rows[:, 0], weights)
    units = [_segments(pair, name) for pair in pairs]
    auroc = _auroc(units, weights)
    alpha = pooled_alpha(
        [coincidences([(truth, int(score > 0)) for truth, score in answer], 2) for answer in units],
        sum(map(len, units)),
        resamples=options["resamples"],
        seed=options["seed"],
    )
    return CategoryStandIn(
        name, people, other, found, precision, recall, auroc, alpha,
        cost_per_error=cost / found if cost is not None and found else None,
        verdict=verdict(people, precision=precision, recall=recall, auroc=auroc, alpha=alpha),
    )  # fmt: skip


def verdict(people: int, *, precision: Rate, recall: Rate, auroc: Rate, alpha: Alpha) -> Verdict:
    """What `RULE` says; whatever is not known does not speak for it."""

    def at_least(low: float | None, bound: float) -> bool:
        return low is not None and low >= bound

    if people < ERRORS_NEEDED:
        return "must not replace"
    if all(at_least(figure.low, REPLACES_FROM) for figure in (alpha, precision, recall)):
        return "may replace"
    if at_least(precision.low, PREMARKS_FROM) and auroc.low is not None and auroc.low > 0.5:
        return "may pre-mark"
    return "must not replace"


def _blaming(response: Response, name: str = ANY) -> list[SpanMark]:
    return [mark for mark in response.spans if mark.blames and name in (ANY, mark.category)]


def _span_counts(pair: _Pair, name: str) -> tuple[int, int, int]:
    """Marks of people, of the other, and matched ones; of all categories together, one of any matches one of any."""
    people, other = ([Marked(mark.span, name) for mark in _blaming(response, name)] for response in pair)
    return len(people), len(other), len(match_spans(people, other))


def _segments(pair: _Pair, name: str) -> list[tuple[int, float]]:
    """Of each sub-sentence whether people marked it, and the highest confidence of the other's marks on it."""
    cut = get_segmenter(_LEVEL)(pair.people.text) if pair.people.text.strip() else ()
    people, other = (_blaming(response, name) for response in pair)
    return [
        (
            int(any(part.overlap(mark.span) for mark in people)),
            max((_confidence(mark) for mark in other if part.overlap(mark.span)), default=0.0),
        )
        for part in cut
    ]


def _confidence(mark: SpanMark) -> float:
    """1 where none is told; a mark of confidence 0 is still more than no mark."""
    return 1.0 if mark.confidence is None else max(mark.confidence, 1e-9)


def _rate(hits: Counts, of: Counts, weights: Counts) -> Rate:
    if not of.sum():
        return Rate(None)
    drawn = _quotients(weights @ hits, weights @ of)
    return _with_interval(float(hits.sum() / of.sum()), drawn, len(hits))


def _auroc(units: Sequence[Sequence[tuple[int, float]]], weights: Counts) -> Rate:
    """The chance that a sub-sentence that people marked has the higher confidence of two, ties counted half."""
    levels = sorted({score for answer in units for _, score in answer})
    place = {score: number for number, score in enumerate(levels)}
    tables = np.zeros((2, len(units), len(levels)))
    for number, answer in enumerate(units):
        for truth, score in answer:
            tables[truth, number, place[score]] += 1
    if not all(table.sum() for table in tables):
        return Rate(None)
    (value,) = _areas(tables.sum(axis=1)[:, None])
    return _with_interval(float(value), _areas(np.stack([weights @ table for table in tables])), len(units))


def _areas(tables: Counts) -> Counts:
    """AUROC of histograms over rising scores, (wrong or right, resample, level)."""
    right, wrong = tables
    below = np.cumsum(right, axis=1) - right
    wins = (wrong * (below + right / 2)).sum(axis=1)
    return _quotients(wins, right.sum(axis=1) * wrong.sum(axis=1))


def _with_interval(value: float, drawn: Counts, answers: int) -> Rate:
    known = drawn[np.isfinite(drawn)]
    if answers < 2 or not len(known):
        return Rate(value)
    low, high = np.quantile(known, [0.025, 0.975])
    return Rate(value, float(low), float(high))


def _quotients(over: Counts, under: Counts) -> Counts:
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
