"""A coarse alignment of very long sequences: the places where an item occurs once in both, and what surrounds them.

Takes time and memory of the order of the lengths. Knows nothing of texts or tokens.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence


def anchored_blocks(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int, int]]:
    """Blocks (start in `a`, start in `b`, length) in order; the last is (len(a), len(b), 0) or ends both.

    Common beginning and end always belong to a block.
    """
    at, to = 0, 0
    for i, j in [(0, 0), *_anchors(a, b), (len(a), len(b))]:
        if i < at or j < to:
            continue  # inside the block before
        start, end = i, i
        while start > at and start - i + j > to and a[start - 1] == b[start - i + j - 1]:
            start -= 1
        while end < len(a) and end - i + j < len(b) and a[end] == b[end - i + j]:
            end += 1
        if end > start or i == len(a):
            yield start, start - i + j, end - start
            at, to = end, end - i + j


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The longest chain of places, ascending on both sides, whose item occurs once in each sequence."""
    once = Counter(a)
    where = {item: j for j, item in enumerate(b)}
    again = Counter(b)
    places = [(i, where[item]) for i, item in enumerate(a) if once[item] == 1 and again[item] == 1]
    return [places[k] for k in _ascending([j for _, j in places])]


def _ascending(values: Sequence[int]) -> list[int]:
    """Positions of a longest ascending subsequence."""
    ends: list[int] = []
    tops: list[int] = []
    before: list[int] = []
    for k, value in enumerate(values):
        pile = bisect_left(ends, value)
        before.append(tops[pile - 1] if pile else -1)
        if pile == len(ends):
            ends.append(value)
            tops.append(k)
        else:
            ends[pile], tops[pile] = value, k
    chain: list[int] = []
    k = tops[-1] if tops else -1
    while k >= 0:
        chain.append(k)
        k = before[k]
    return chain[::-1]
