"""Which stretches of two sequences are the same, by three methods, for texts, token ids or anything hashable.

Matching blocks are those of `difflib.SequenceMatcher(autojunk=False)`, found by cydifflib: the longest block, of all
longest the first in `a`, of those the first in `b`, then the same on its left and right. Sequences with too many pairs
of equal items are aligned between anchors. Memory grows with the lengths only. Knows nothing of texts, edits or
tokenizers.
"""

import warnings
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal, cast, get_args

from spanwise.core import ConfigError

if TYPE_CHECKING:  # cydifflib has difflib's interface and ships no types
    from difflib import SequenceMatcher
else:
    from cydifflib import SequenceMatcher

Block = tuple[int, int, int]
"""Where it starts in `a`, where in `b`, and how long it is."""
Method = Literal["matching-blocks", "levenshtein", "positional"]
METHODS: tuple[Method, ...] = get_args(Method)

MERGE_GAP = 2
"""Matching blocks of up to so many items between two changes are chance and belong to one change with them."""
MAX_MATCHES = 10_000_000
"""Pairs of positions with equal items up to which two sequences are aligned exactly; beyond, between anchors only."""
RUN = 4
"""Items per run: most runs of four tokens are rare even where every token is common."""


def aligned_blocks(
    a: Sequence[Hashable], b: Sequence[Hashable], method: Method = "matching-blocks", *, merge_gap: int | None = None
) -> tuple[list[Block], bool]:
    """The stretches that stay, in order, and whether they are coarse.

    `merge_gap` is 2 for matching blocks and 0 for the other methods where it is not given.
    Raises ConfigError for a method that does not exist.
    """
    if method == "matching-blocks":
        blocks, coarse = matching_blocks(a, b)
    elif method == "levenshtein":
        blocks, coarse = _levenshtein(a, b), False
    elif method == "positional":
        blocks, coarse = _positional(a, b), False
    else:
        raise ConfigError(f"Unknown method of alignment {method!r}; use one of {', '.join(METHODS)}.")
    return merged(blocks, len(a), len(b), default_gap(method) if merge_gap is None else merge_gap), coarse


def default_gap(method: Method) -> int:
    """How many equal items between two changes join them into one."""
    return MERGE_GAP if method == "matching-blocks" else 0


def merged(blocks: Iterable[Block], a_length: int, b_length: int, gap: int) -> list[Block]:
    """Without the blocks of up to `gap` items that have a change on both sides; neighbours without one are joined."""
    joined: list[Block] = []
    for a, b, size in blocks:
        if joined and (a, b) == (joined[-1][0] + joined[-1][2], joined[-1][1] + joined[-1][2]):
            joined[-1] = (*joined[-1][:2], joined[-1][2] + size)
        else:
            joined.append((a, b, size))
    ends = (a_length, b_length)
    return [(a, b, size) for a, b, size in joined if size > gap or (a, b) == (0, 0) or (a + size, b + size) == ends]


def matching_blocks(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[list[Block], bool]:
    """The matching blocks of one pair, in order, and whether they are coarse; warns where they are."""
    if too_large(a, b):
        return _coarse(a, b), True
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(block.a, block.b, block.size) for block in blocks[:-1]], False


def too_large(a: Sequence[Hashable], b: Sequence[Hashable]) -> bool:
    """Whether more than MAX_MATCHES pairs of positions hold equal items."""
    if len(a) * len(b) <= MAX_MATCHES:
        return False
    left, right = Counter(a), Counter(b)
    return sum(number * right[item] for item, number in left.items()) > MAX_MATCHES


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


def word_distance(before: Sequence[Hashable], after: Sequence[Hashable]) -> int:
    """Levenshtein distance: how many items have to be inserted, deleted or replaced."""
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 - takes long to import

    return Levenshtein.distance(before, after)


def _coarse(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    warnings.warn(
        f"Sequences of {len(a):,} and {len(b):,} items have more than {MAX_MATCHES:,} pairs of equal items: they are "
        "aligned by runs of items that occur equally often in both, and exactly only between them.",
        stacklevel=3,
    )
    blocks: list[Block] = []
    for i, j, size in anchored_blocks(a, b):
        done = (blocks[-1][0] + blocks[-1][2], blocks[-1][1] + blocks[-1][2]) if blocks else (0, 0)
        left, right = a[done[0] : i], b[done[1] : j]
        if not too_large(left, right):
            inner, _ = matching_blocks(left, right)
            blocks += [(done[0] + at, done[1] + to, length) for at, to, length in inner]
        if size:
            blocks.append((i, j, size))
    return blocks


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


def _levenshtein(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 - takes long to import

    changes = cast("list[tuple[str, int, int, int, int]]", Levenshtein.opcodes(a, b).as_list())
    return [(start, to, end - start) for tag, start, end, to, _ in changes if tag == "equal"]


def _positional(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    blocks: list[Block] = []
    start = 0
    for same, run in groupby(zip(a, b, strict=False), key=lambda pair: pair[0] == pair[1]):
        size = len(list(run))
        blocks += [(start, start, size)] if same else []
        start += size
    return blocks
