"""Turns what annotators said into labels: right or wrong per segment, better and worse per pair of responses.

The rules are those of Wu et al. (2023), each a named option. Works on texts and spans alone; knows nothing of tokens,
models or torch. Nothing is dropped silently: every label that is not made is counted, with its reason.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from spanwise.feedback import FeedbackRecord, Preference, Response, SpanMark
from spanwise.reward_models.config import CompletenessRule, SpanRule
from spanwise.reward_models.data.marks import check_marks, weight
from spanwise.text import Span, count_words, get_segmenter

SentenceId = tuple[int, int]
"""Passage and sentence, both from 0."""


def coverages(record: FeedbackRecord, *, threshold: float, overlook: Collection[str] = ()) -> list[float | None] | None:
    """The share of the needed passage sentences that each response states; None when nothing is known to be needed.

    Needed are the sentences that the correction states, but for those whose absence was marked with a category in
    `overlook`, unless the corrected response said that piece already.
    """
    sentences = _sentences(record)
    needed = _needed(record, sentences, threshold=threshold, overlook=overlook)
    if not needed:
        return None
    return [len(stated(response.text, sentences, threshold) & needed) / len(needed) for response in record.responses]


def stated(text: str, sentences: Sequence[tuple[SentenceId, str]], threshold: float) -> set[SentenceId]:
    """Ids of the sentences that the sub-sentences of `text` state."""
    matches = (_closest(piece, sentences, threshold) for piece in _pieces(text))
    return {match for match in matches if match is not None}


def similarity(piece: str, sentence: str) -> float:
    """From 0 to 1: how well the closest stretch of `sentence` matches the whole `piece`, in order."""
    if len(piece) > len(sentence):
        return fuzz.ratio(piece, sentence) / 100
    return fuzz.partial_ratio(piece, sentence) / 100


def _needed(
    record: FeedbackRecord, sentences: Sequence[tuple[SentenceId, str]], *, threshold: float, overlook: Collection[str]
) -> set[SentenceId]:
    needed: set[SentenceId] = set()
    for response in record.responses:
        minor = {
            (item.evidence.passage, number)
            for item in response.missing
            if item.evidence and item.category in overlook
            for number in item.evidence.sentences
        }
        for piece in _pieces(response.correction or ""):
            match = _closest(piece, sentences, threshold)
            if match is not None and (match not in minor or piece in response.text.lower()):
                needed.add(match)
    return needed


def _closest(piece: str, sentences: Sequence[tuple[SentenceId, str]], threshold: float) -> SentenceId | None:
    best, closest = threshold, None
    for name, sentence in sentences:
        score = similarity(piece, sentence)
        if score >= best and (closest is None or score > best):
            best, closest = score, name
    return closest


def _pieces(text: str) -> list[str]:
    pieces = (span.of(text).strip().lower() for span in get_segmenter("sub-sentence")(text))
    return [piece for piece in pieces if piece]


def _sentences(record: FeedbackRecord) -> list[tuple[SentenceId, str]]:
    return [
        ((number, position), sentence.lower())
        for number, passage in enumerate(record.passages)
        for position, sentence in enumerate(passage.sentences)
    ]


Segmenter = Callable[[str], tuple[Span, ...]]
_USED_BY_NO_HEAD = " used by no head"
SHORT_SPANS = "short spans"
"""Why a mark was overlooked, as `label_records` counts it."""


@dataclass(frozen=True, slots=True)
class SegmentLabel:
    """One segment and how right it is, from 0 to 1; None = unknown, it teaches nothing."""

    span: Span
    correct: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Positions of two responses of a record; `better_first` says whether the better one was shown first, if known."""

    better: int
    worse: int
    better_first: bool | None = None
    confidence: float = 1.0
    """How likely the better one is better, from .5 to 1."""


@dataclass(frozen=True, slots=True)
class RecordLabels:
    """All labels of one record: per head, labelled segments by response position, or pairs."""

    record: FeedbackRecord
    segments: Mapping[str, Mapping[int, tuple[SegmentLabel, ...]]]
    pairs: Mapping[str, tuple[Pair, ...]]


def label_segments(response: Response, rule: SpanRule, segmenter: Segmenter) -> tuple[SegmentLabel, ...]:
    """Labels each segment of a marked response by `rule` (wu2023 2.2); a blank response has none."""
    if not response.text.strip():
        return ()
    marked = _Marked.of(response, rule)
    return tuple(
        SegmentLabel(segment, _correct(_trim(response.text, segment), marked, rule))
        for segment in segmenter(response.text)
    )


def preference_pairs(record: FeedbackRecord, counts: Counter[str]) -> tuple[Pair, ...]:
    """The decided preferences; ties are counted and dropped."""
    decided = [preference for preference in record.preferences if preference.winner != "tie"]
    counts["ties"] += len(record.preferences) - len(decided)
    return tuple(
        Pair(item.first, item.second, better_first=True, confidence=_sure(item))
        if item.winner == "first"
        else Pair(item.second, item.first, better_first=False, confidence=_sure(item))
        for item in decided
    )


def _sure(preference: Preference) -> float:
    return 1.0 if preference.confidence is None else preference.confidence


def completeness_pairs(record: FeedbackRecord, rule: CompletenessRule, counts: Counter[str]) -> tuple[Pair, ...]:
    """All pairs of responses of which one leaves less out; ties and records that cannot be judged are counted."""
    marked = all(response.marked for response in record.responses)
    source = rule.source if rule.source != "auto" else ("missing" if marked else "coverage")
    if source == "missing":
        scores = [_completeness(response, rule) for response in record.responses]
        counts["unmarked responses"] += scores.count(None)
    else:
        scores = coverages(record, threshold=rule.match_threshold, overlook=rule.overlook)
        counts["records without a correction that the passages cover"] += scores is None
    return tuple(_ranked(scores or [], counts))


def label_records(
    records: Sequence[FeedbackRecord],
    *,
    spans: Mapping[str, SpanRule],
    completeness: CompletenessRule | None = None,
    preference: bool = True,
) -> tuple[list[RecordLabels], dict[str, int]]:
    """Labels `records` for the span heads in `spans` and the pair heads that are asked for.

    The second result counts what was left out, keyed "<head>/<reason>". Records without any label stay in the list.
    Raises ConfigError for marks that praise, or have a severity, where no rule says what that means.
    """
    check_marks(records, spans, custom=set(spans) - {"relevance", "factuality"})
    counts: dict[str, Counter[str]] = {head: Counter() for head in (*spans, "completeness", "preference", "spans")}
    segmenters = {head: get_segmenter(rule.density) for head, rule in spans.items()}
    labelled: list[RecordLabels] = []
    for record in records:
        segments = {h: _label_record(record, rule, segmenters[h], counts[h]) for h, rule in spans.items()}
        pairs: dict[str, tuple[Pair, ...]] = {}
        if completeness is not None:
            pairs["completeness"] = completeness_pairs(record, completeness, counts["completeness"])
        if preference:
            pairs["preference"] = preference_pairs(record, counts["preference"])
        labelled.append(RecordLabels(record, segments, pairs))
        counts["spans"].update(_unused(record, spans))
    flat = {f"{head}/{reason}": n for head, counter in counts.items() for reason, n in counter.items() if n}
    return labelled, flat


def _label_record(
    record: FeedbackRecord, rule: SpanRule, segmenter: Segmenter, counts: Counter[str]
) -> dict[int, tuple[SegmentLabel, ...]]:
    labelled: dict[int, tuple[SegmentLabel, ...]] = {}
    for position, response in enumerate(record.responses):
        if not response.marked:
            counts["unmarked responses"] += 1
            continue
        labels = label_segments(response, rule, segmenter)
        ignored = sum(label.correct is None for label in labels)
        counts["ignored segments"] += ignored
        counts[SHORT_SPANS] += _short(response, rule.categories, rule.min_span_words)
        if ignored == len(labels):
            counts["responses without a labelled segment"] += 1
        else:
            labelled[position] = labels
    return labelled


@dataclass(frozen=True, slots=True)
class _Marked:
    """What the marks of a response say to a rule."""

    errors: tuple[tuple[Span, float], ...]
    """Each with how wrong it is."""
    praised: tuple[Span, ...]
    ignored: tuple[Span, ...]

    @classmethod
    def of(cls, response: Response, rule: SpanRule) -> "_Marked":
        if response.beliefs:
            return cls._of_beliefs(response, rule)
        errors = _marks(response, rule.categories, rule.min_span_words)
        ignored = _marks(response, rule.ignore_categories, rule.ignore_min_span_words)
        praised = [mark for mark in response.spans if not mark.blames and mark.category in rule.praise_categories]
        return cls(
            tuple((_trim(response.text, mark.span), weight(mark, rule)) for mark in errors),
            tuple(_trim(response.text, mark.span) for mark in praised),
            tuple(_trim(response.text, mark.span) for mark in ignored),
        )

    @classmethod
    def _of_beliefs(cls, response: Response, rule: SpanRule) -> "_Marked":
        """Beliefs are about whole segments, however short the marks behind them were; what is likelier than not is
        ignored where marks of its category are.
        """
        errors = [
            (belief.span, belief.probability) for belief in response.beliefs if belief.category in rule.categories
        ]
        ignored = [b.span for b in response.beliefs if b.category in rule.ignore_categories and b.probability > 0.5]
        return cls(tuple(errors), (), tuple(ignored))


def _correct(segment: Span, marked: _Marked, rule: SpanRule) -> float | None:
    """Shares are of characters: marks of one response may overlap, so covered characters are counted once."""
    covered = _covered(segment, [span for span, _ in marked.errors]) / max(1, len(segment))
    if covered > rule.min_coverage:
        return 1.0 - (_wrong_share(segment, marked.errors) if rule.soft else _gravest(segment, marked.errors))
    unknown = _covered(segment, marked.ignored) and not _covered(segment, marked.praised)
    return None if unknown else 1.0


def _gravest(segment: Span, errors: Sequence[tuple[Span, float]]) -> float:
    return max(grade for span, grade in errors if segment.overlap(span))


def _wrong_share(segment: Span, errors: Sequence[tuple[Span, float]]) -> float:
    """The share of characters that are wrong, each as much as the gravest mark on it says."""
    total, before = 0.0, 0
    for grade in sorted({grade for _, grade in errors}, reverse=True):
        covered = _covered(segment, [span for span, other in errors if other >= grade])
        total += grade * (covered - before)
        before = covered
    return total / max(1, len(segment))


def _covered(segment: Span, spans: Sequence[Span]) -> int:
    total, reached = 0, segment.start
    for span in sorted(spans):
        start, end = max(span.start, reached), min(span.end, segment.end)
        if end > start:
            total += end - start
            reached = end
    return total


def _marks(response: Response, categories: Sequence[str], min_words: int) -> list[SpanMark]:
    """The marks that blame by these categories and are long enough."""
    return [m for m in response.spans if m.blames and m.category in categories and _words(m) >= min_words]


def _short(response: Response, categories: Sequence[str], min_words: int) -> int:
    return sum(m.blames and m.category in categories and _words(m) < min_words for m in response.spans)


def _words(mark: SpanMark) -> int:
    return count_words(mark.quote)


def _trim(text: str, span: Span) -> Span:
    """`span` without the white space at its ends, so that a trailing blank touches nothing."""
    quote = span.of(text)
    start = span.start + len(quote) - len(quote.lstrip())
    return Span(start, max(start, start + len(quote.strip())))


def _completeness(response: Response, rule: CompletenessRule) -> float | None:
    if not response.marked:
        return None
    return -float(sum(missing.category not in rule.overlook for missing in response.missing))


def _ranked(scores: Sequence[float | None], counts: Counter[str]) -> Iterator[Pair]:
    for first, left in enumerate(scores):
        for second, right in enumerate(scores[first + 1 :], start=first + 1):
            if left is None or right is None:
                continue
            if left == right:
                counts["ties"] += 1
            else:
                yield Pair(first, second) if left > right else Pair(second, first)


def _unused(record: FeedbackRecord, spans: Mapping[str, SpanRule]) -> Iterator[str]:
    rules = spans.values()
    known = {name for rule in rules for name in (*rule.categories, *rule.ignore_categories, *rule.praise_categories)}
    for response in record.responses:
        yield from (f"{mark.category}{_USED_BY_NO_HEAD}" for mark in response.spans if mark.category not in known)


def unused_categories(left_out: Mapping[str, int]) -> dict[str, int]:
    """The marks of each category that no head uses, from the counts of `label_records`."""
    return {
        key.removeprefix("spans/").removesuffix(_USED_BY_NO_HEAD): number
        for key, number in left_out.items()
        if key.startswith("spans/") and key.endswith(_USED_BY_NO_HEAD)
    }
