"""Which spans of two annotators mean the same: pairs of equal category that overlap enough, each span used once."""

from collections.abc import Sequence
from typing import NamedTuple

from spanwise.text.spans import Span


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
    scored = [
        (-iou(a.span, b.span), i, j)
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if a.category == b.category and iou(a.span, b.span) >= max(at_least, 1e-12)
    ]
    pairs: list[tuple[int, int]] = []
    left, right = set[int](), set[int]()
    for _, i, j in sorted(scored):
        if i not in left and j not in right:
            pairs.append((i, j))
            left.add(i)
            right.add(j)
    return sorted(pairs)


def f1(matched: int, first: int, second: int) -> float | None:
    """F1 of `matched` pairs among `first` and `second` spans, or None when there are no spans at all."""
    return 2 * matched / (first + second) if first + second else None
