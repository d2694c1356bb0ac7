"""How far annotators agree: Krippendorff's alpha, F1 of matched spans, and a fixed panel of figures made of them.

Alpha on segments, one binary judgement per category and segment, pooled over items, speaks of the units that reward
models learn from; F1 of spans of what a reader sees; detection and boundaries apart say what disagrees. A response
that somebody found free of errors counts like any other: leaving it out makes careless annotators look perfect.
"""

import difflib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spanwise.core import numpy_generator
from spanwise.feedback.schema import Evidence, FeedbackRecord, Response
from spanwise.text import Span, get_segmenter, split_words

Level = Literal["nominal", "ordinal", "interval"]
Matrix = NDArray[np.float64]
_ORDER = {"first": 0, "tie": 1, "second": 2}
_TURNED = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Alpha:
    """An alpha with its 95 % interval over items; `value` is None where it is not defined, and `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    units: int
    """Units that at least two coders judged."""
    reason: str = ""


def coincidences(units: Sequence[Sequence[int | None]], size: int) -> Matrix:
    """The coincidence matrix of units, each the values of its coders: numbers below `size`, or None."""
    matrix = np.zeros((size, size))
    for unit in units:
        counts = np.bincount([value for value in unit if value is not None], minlength=size).astype(float)
        coders = counts.sum()
        if coders >= 2:
            matrix += (np.outer(counts, counts) - np.diag(counts)) / (coders - 1)
    return matrix


def alpha(matrix: Matrix, level: Level = "nominal") -> float | None:
    """Alpha of a coincidence matrix; None when nothing was judged twice or all values are one."""
    (value,) = _alphas(matrix[None], level)
    return None if np.isnan(value) else float(value)


def pooled_alpha(
    by_item: Sequence[Matrix], units: int, *, level: Level = "nominal", resamples: int = 1000, seed: int = 0
) -> Alpha:
    """Alpha of all items together, with a bootstrap interval over items; none where a single item was judged twice."""
    if not by_item or units == 0:
        return Alpha(None, None, None, units, "nobody judged the same thing as somebody else")
    stack = np.stack(by_item)
    value = alpha(stack.sum(axis=0), level)
    if value is None:
        return Alpha(None, None, None, units, "all judgements are the same, so chance cannot be told from agreement")
    if np.count_nonzero(stack.any(axis=(1, 2))) < 2:
        return Alpha(value, None, None, units)
    random = numpy_generator(seed, "agreement/bootstrap")
    weights = random.multinomial(len(stack), np.full(len(stack), 1 / len(stack)), size=resamples).astype(float)
    sampled = _alphas(np.tensordot(weights, stack, axes=1), level)
    known = sampled[~np.isnan(sampled)]
    low, high = (float(q) for q in np.quantile(known, [0.025, 0.975])) if len(known) else (value, value)
    return Alpha(value, low, high, units)


class Marked(NamedTuple):
    """A span with its category."""

    span: Span
    category: str


def iou(a: Span, b: Span) -> float:
    """Intersection over union of two spans, in characters; 0 for two empty ones."""
    shared = a.overlap(b)
    union = len(a) + len(b) - shared
    return shared / union if union else 0.0


def match_spans(first: Sequence[Marked], second: Sequence[Marked], *, at_least: float = 0.5) -> list[tuple[int, int]]:
    """Pairs of positions of equal category and an overlap of `at_least` (more than 0), the best overlaps first."""
    scored = [(-share, i, j) for share, i, j in _overlapping(first, second) if share >= max(at_least, 1e-12)]
    pairs: list[tuple[int, int]] = []
    left, right = set[int](), set[int]()
    for _, i, j in sorted(scored):
        if i not in left and j not in right:
            pairs.append((i, j))
            left.add(i)
            right.add(j)
    return sorted(pairs)


def _overlapping(first: Sequence[Marked], second: Sequence[Marked]) -> Iterator[tuple[float, int, int]]:
    """The intersection over union of each pair of equal category that can have one; looks only where spans are near."""
    by_category: dict[str, list[tuple[int, int]]] = {}
    for j, b in enumerate(second):
        by_category.setdefault(b.category, []).append((b.span.start, j))
    for starts in by_category.values():
        starts.sort()
    longest = max((len(b.span) for b in second), default=0)
    for i, a in enumerate(first):
        starts = by_category.get(a.category, [])
        low, high = bisect_left(starts, (a.span.start - longest, 0)), bisect_left(starts, (a.span.end, 0))
        for _, j in starts[low:high]:
            yield iou(a.span, second[j].span), i, j


def f1(matched: int, first: int, second: int) -> float | None:
    """F1 of `matched` pairs among `first` and `second` spans, or None when there are no spans at all."""
    return 2 * matched / (first + second) if first + second else None


@dataclass(frozen=True, slots=True)
class SpanAgreement:
    """Pairwise figures of spans, pooled over all pairs of annotators; None where nobody marked anything."""

    spans: int
    """Spans that took part, once per pair of annotators."""
    f1: float | None
    """A span counts as found from an intersection over union of one half on."""
    exact_f1: float | None
    detection: float | None
    """F1 where any overlap will do: whether the same errors are found."""
    boundary: float | None
    """Mean intersection over union of spans that overlap: whether they are cut alike."""


@dataclass(frozen=True, slots=True)
class CategoryAgreement:
    """One category: alpha on the segments of its level, and the figures of its spans."""

    category: str
    level: str
    alpha: Alpha
    spans: SpanAgreement


@dataclass(frozen=True, slots=True)
class PreferenceAgreement:
    """Comparisons: ordinal alpha of worse, equal, better, and the plain share of equal answers."""

    alpha: Alpha
    same: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The whole panel; `as_dict` is its JSON form."""

    items: int
    """Items with at least two annotations."""
    annotators: tuple[str, ...]
    categories: tuple[CategoryAgreement, ...]
    missing: tuple[CategoryAgreement, ...]
    spans: SpanAgreement
    preferences: PreferenceAgreement
    evidence: float | None
    """Mean share of common sentences among those that either cites, on spans that match."""
    edits: float | None
    """F1 of the words that corrections touch."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is not defined is None, with the reason beside it."""
        return asdict(self)


def measure(
    items: Sequence[Sequence[FeedbackRecord]],
    categories: Mapping[str, str],
    *,
    missing: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """The agreement of several people on the same items.

    `items` holds, for each item, one record per person; `categories` the segmenter that each category of spans is
    judged on; `missing` the categories of missing information, which are judged per response.
    """
    shared = [records for records in items if len(records) > 1]
    pairs = [pair for records in shared for pair in _pairs(records)]
    options = {"resamples": resamples, "seed": seed}
    return Agreement(
        items=len(shared),
        annotators=tuple(sorted({r.annotator or "" for records in shared for r in records})),
        categories=tuple(
            CategoryAgreement(name, level, _segment_alpha(shared, name, level, **options), _span_figures(pairs, name))
            for name, level in categories.items()
        ),
        missing=tuple(
            CategoryAgreement(name, "response", _missing_alpha(shared, name, **options), _span_figures([], name))
            for name in missing
        ),
        spans=_span_figures(pairs, None),
        preferences=_preferences(shared, **options),
        evidence=_evidence(pairs),
        edits=_edits(shared),
    )


def _alphas(matrices: Matrix, level: Level) -> Matrix:
    """Alphas of a stack of coincidence matrices; NaN where there is none."""
    totals = matrices.sum(axis=2)
    n = totals.sum(axis=1)
    distance = _distances(totals, level)
    observed = (matrices * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)


def _distances(totals: Matrix, level: Level) -> Matrix:
    """Squared differences between values; ordinal ones depend on how often the values between occur."""
    count, size = totals.shape
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(size), (count, size, size))
    if level == "interval":
        values = np.arange(size)
        return np.broadcast_to((values[:, None] - values[None, :]) ** 2.0, (count, size, size))
    places = np.cumsum(totals, axis=1) - totals / 2
    return (places[:, :, None] - places[:, None, :]) ** 2


def _responses(records: Sequence[FeedbackRecord]) -> Iterator[list[Response]]:
    """For each response of the item, how those who looked at it marked it."""
    for versions in zip(*(record.responses for record in records), strict=True):
        judged = [version for version in versions if version.marked]
        if len(judged) > 1:
            yield judged


def _pairs(records: Sequence[FeedbackRecord]) -> Iterator[tuple[Response, Response]]:
    for judged in _responses(records):
        yield from combinations(judged, 2)


def _segment_alpha(
    items: Sequence[Sequence[FeedbackRecord]], category: str, level: str, *, resamples: int, seed: int
) -> Alpha:
    cut = get_segmenter(level)
    matrices: list[Matrix] = []
    units = 0
    for records in items:
        judged: list[list[int | None]] = [
            [int(_touches(version, category, segment)) for version in versions]
            for versions in _responses(records)
            for segment in cut(versions[0].text)
        ]
        units += len(judged)
        matrices.append(coincidences(judged, 2))
    return pooled_alpha(matrices, units, resamples=resamples, seed=seed)


def _touches(response: Response, category: str, segment: Span) -> bool:
    return any(mark.category == category and segment.overlap(mark.span) for mark in response.spans)


def _missing_alpha(items: Sequence[Sequence[FeedbackRecord]], category: str, *, resamples: int, seed: int) -> Alpha:
    judged: list[list[list[int | None]]] = [
        [[int(any(g.category == category for g in v.missing)) for v in versions] for versions in _responses(records)]
        for records in items
    ]
    matrices = [coincidences(units, 2) for units in judged]
    return pooled_alpha(matrices, sum(map(len, judged)), resamples=resamples, seed=seed)


def _span_figures(pairs: Sequence[tuple[Response, Response]], category: str | None) -> SpanAgreement:
    first = second = half = exact = touching = 0
    overlaps: list[float] = []
    for pair in pairs:
        a, b = (_marked(response, category) for response in pair)
        first, second = first + len(a), second + len(b)
        half += len(match_spans(a, b))
        exact += len(match_spans(a, b, at_least=1.0))
        common = match_spans(a, b, at_least=0.0)
        touching += len(common)
        overlaps += [iou(a[i].span, b[j].span) for i, j in common]
    return SpanAgreement(
        spans=first + second,
        f1=f1(half, first, second),
        exact_f1=f1(exact, first, second),
        detection=f1(touching, first, second),
        boundary=_mean(overlaps),
    )


def _marked(response: Response, category: str | None) -> list[Marked]:
    return [Marked(mark.span, mark.category) for mark in response.spans if category in (None, mark.category)]


def _preferences(items: Sequence[Sequence[FeedbackRecord]], *, resamples: int, seed: int) -> PreferenceAgreement:
    matrices: list[Matrix] = []
    same: list[float] = []
    count = 0
    for records in items:
        answers = [_answers(record) for record in records]
        units = [[told.get(pair) for told in answers] for pair in sorted(set().union(*answers))]
        judged = [[value for value in unit if value is not None] for unit in units]
        judged = [unit for unit in judged if len(unit) > 1]
        count += len(judged)
        same += [float(a == b) for unit in judged for a, b in combinations(unit, 2)]
        matrices.append(coincidences(judged, 3))
    return PreferenceAgreement(
        alpha=pooled_alpha(matrices, count, level="ordinal", resamples=resamples, seed=seed), same=_mean(same)
    )


def _answers(record: FeedbackRecord) -> dict[tuple[int, int], int]:
    """The answer to each pair, read with the earlier response first."""
    answers: dict[tuple[int, int], int] = {}
    for p in record.preferences:
        turned = p.first > p.second
        pair = (p.second, p.first) if turned else (p.first, p.second)
        answers[pair] = _ORDER[_TURNED[p.winner] if turned else p.winner]
    return answers


def _evidence(pairs: Sequence[tuple[Response, Response]]) -> float | None:
    shares: list[float] = []
    for a, b in pairs:
        for i, j in match_spans(_marked(a, None), _marked(b, None)):
            left, right = _cited(a.spans[i].evidence), _cited(b.spans[j].evidence)
            if left or right:
                shares.append(len(left & right) / len(left | right))
    return _mean(shares)


def _cited(evidence: tuple[Evidence, ...]) -> set[tuple[int, int]]:
    return {(e.passage, number) for e in evidence for number in (*e.sentences, *([-1] if e.title else []))}


def _edits(items: Sequence[Sequence[FeedbackRecord]]) -> float | None:
    common = total = 0
    for records in items:
        for versions in zip(*(record.responses for record in records), strict=True):
            edited = [_touched(v.text, v.correction) for v in versions if v.correction is not None]
            for a, b in combinations(edited, 2):
                common += len(a & b)
                total += len(a) + len(b)
    return f1(common, total, 0)


def _touched(before: str, after: str) -> set[tuple[str, int]]:
    """Words that an edit takes away, and places where it puts some in."""
    matcher = difflib.SequenceMatcher(None, split_words(before), split_words(after), autojunk=False)
    touched: set[tuple[str, int]] = set()
    for tag, start, end, new, new_end in matcher.get_opcodes():
        if tag != "equal":
            touched |= {("word", index) for index in range(start, end)}
            touched |= {("gap", start)} if new < new_end and start == end else set()
    return touched


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
