"""Human corrections of answers (QA-Feedback) and the error spans that the same people marked: do they say the same?

The people were told to mend what they had marked, so their agreement is a check of consistency and not of two
opinions. Words of the agreement are runs of letters and digits and single marks of punctuation, as alignments have
them. Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.post_edits.surface import MarkedText
from spanwise.feedback import EditPair, FeedbackRecord, Response, pairs_of_corrections
from spanwise.text import Method, Span, align_texts, touched_words


@dataclass(frozen=True, slots=True)
class Correction:
    """One answer, its correction and its marks."""

    record: FeedbackRecord
    response: Response
    pair: EditPair

    @property
    def marked(self) -> MarkedText:
        """The answer with the marked spans, without the correction."""
        return MarkedText(self.response.text, tuple(disjoint([mark.span for mark in self.response.spans])))

    @property
    def changed(self) -> MarkedText:
        """The answer with the stretches that the correction changed."""
        return MarkedText(self.response.text, changed_spans(self.pair, "matching-blocks", 2), self.pair.edited)

    @property
    def marks_only(self) -> FeedbackRecord:
        """The record with this answer and its marks alone."""
        kept = self.response.model_copy(update={"correction": None})
        return self.record.model_copy(update={"responses": (kept,), "preferences": ()})


@dataclass(frozen=True, slots=True)
class Agreement:
    """Changed words against marked words, all answers together."""

    precision: float
    recall: float
    f1: float
    pairs: int


def corrections_of(records: Sequence[FeedbackRecord]) -> list[Correction]:
    """The answers that were marked and corrected, those left as they were not among them."""
    found: list[Correction] = []
    for record in records:
        for response in record.responses:
            if response.marked and response.correction not in (None, response.text):
                alone = record.model_copy(update={"responses": (response,), "preferences": ()})
                found += [Correction(record, response, pair) for pair in pairs_of_corrections([alone])]
    return found


def span_agreement(corrections: Sequence[Correction], method: Method, merge_gap: int) -> Agreement:
    """How well the words that an alignment calls changed agree with the marked ones."""
    hits = changed = marked = 0
    for item in corrections:
        text = item.response.text
        touched = touched_words(text, changed_spans(item.pair, method, merge_gap))
        errors = touched_words(text, item.marked.bad)
        hits += sum(a and b for a, b in zip(touched, errors, strict=True))
        changed, marked = changed + sum(touched), marked + sum(errors)
    precision, recall = hits / max(1, changed), hits / max(1, marked)
    return Agreement(precision, recall, 2 * precision * recall / max(1e-12, precision + recall), len(corrections))


def minimal(corrections: Sequence[Correction], *, kept: float) -> list[Correction]:
    """Those whose corrections keep at least this share of the answer's words."""
    found: list[Correction] = []
    for item in corrections:
        flags = touched_words(item.response.text, changed_spans(item.pair, "matching-blocks", 0))
        if flags and 1 - sum(flags) / len(flags) >= kept:
            found.append(item)
    return found


def changed_spans(pair: EditPair, method: Method, merge_gap: int) -> tuple[Span, ...]:
    """The stretches of the original that the edit changed; insertions have none."""
    edit = align_texts(pair.original, pair.edited, method=method, merge_gap=merge_gap)
    return tuple(part.original for part in edit.changes)


def disjoint(spans: Sequence[Span]) -> list[Span]:
    """The stretches under any of the spans, ascending and without overlap."""
    found: list[Span] = []
    for span in sorted(spans):
        begin = max(span.start, found[-1].end) if found else span.start
        found += [Span(begin, span.end)] if begin < span.end else []
    return found
