"""A coarse alignment of very long sequences: runs that occur equally often in both, and what surrounds them.

The first occurrence in the one sequence belongs to the first in the other, and so on; of such pairs the longest chain
that ascends on both sides is kept. Takes time and memory of the order of the lengths. Knows nothing of texts or tokens.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

RUN = 4
"""Items per run: most runs of four tokens are rare even where every token is common."""


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
    """The longest chain of places, ascending on both sides, at which runs begin that occur equally often in both."""
    left, right = _runs(a), _runs(b)
    both = ((places, right[run]) for run, places in left.items() if len(places) == len(right.get(run, ())))
    pairs = sorted(pair for places in both for pair in zip(*places, strict=True))
    return [pairs[k] for k in _ascending([j for _, j in pairs])]


def _runs(items: Sequence[Hashable]) -> dict[tuple[Hashable, ...], list[int]]:
    """Where each run of items begins, in order."""
    places: defaultdict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    for start, run in enumerate(zip(*(items[shift:] for shift in range(RUN)), strict=False)):
        places[run].append(start)
    return places


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
