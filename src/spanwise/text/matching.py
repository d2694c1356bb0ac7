"""Which stretches of two sequences are the same: the longest matching block, then the same on its left and right.

The blocks are those of `difflib.SequenceMatcher(autojunk=False)`: of all longest blocks the first in `a`, of those the
first in `b`. Many pairs at once go through a compiled kernel where numba is installed, difflib itself does the rest;
both find the same blocks. Memory grows with the lengths only. Knows nothing of texts, edits or tokenizers.
"""

import warnings
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.util import find_spec
from itertools import chain, count, groupby
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from spanwise.core import ConfigError

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


Block = tuple[int, int, int]
"""Where it starts in `a`, where in `b`, and how long it is."""

MAX_MATCHES = 10_000_000
"""Pairs of positions with equal items up to which two sequences are aligned exactly; beyond, between anchors only."""

_ALONE = 4_000_000  # below this product of lengths one pair alone is not worth loading the compiled kernel
_SMALL_ID = 1 << 22  # the kernel keeps two numbers per id


@dataclass(frozen=True, slots=True, eq=False)
class BlockTable:
    """The matching blocks of many pairs: pair `k` has the rows from `offsets[k]` to `offsets[k + 1]`."""

    blocks: NDArray[np.int32]
    """One row per block: start in `a`, start in `b`, length."""
    offsets: NDArray[np.int64]
    coarse: frozenset[int] = frozenset()
    """The pairs that were too large for an exact alignment."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, pair: int) -> list[Block]:
        """The blocks of one pair, in order."""
        start, end = self.offsets[pair : pair + 2].tolist()
        return [(a, b, size) for a, b, size in self.blocks[start:end].tolist()]


def matching_blocks(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[list[Block], bool]:
    """The matching blocks of one pair, in order, and whether they are coarse; warns where they are."""
    if too_large(a, b):
        return _coarse(a, b), True
    if len(a) * len(b) > _ALONE and kernel_installed():
        return match_pairs([(a, b)])[0], False
    return _exact(a, b), False


def match_pairs(pairs: Sequence[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> BlockTable:
    """The matching blocks of every pair; a batch costs a fraction of its pairs one by one."""
    if not kernel_installed():
        return _one_by_one(pairs)
    numbers: defaultdict[Hashable, int] = defaultdict()
    numbers.default_factory = count().__next__
    number = numbers.__getitem__
    return match_id_pairs([(list(map(number, a)), list(map(number, b))) for a, b in pairs])


def match_id_pairs(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> BlockTable:
    """The same for pairs of token ids, which need no numbering; ids are not negative."""
    if not kernel_installed():
        return _one_by_one(pairs)
    sides = list(chain.from_iterable(pairs))
    lengths = list(map(len, sides))
    if max(lengths, default=0) ** 2 <= MAX_MATCHES:
        return _compiled(sides, lengths)
    large = {k: (a, b) for k, (a, b) in enumerate(pairs) if too_large(a, b)}
    sides = [() if k // 2 in large else side for k, side in enumerate(sides)]
    return _with_coarse(_compiled(sides, list(map(len, sides))), large)


def too_large(a: Sequence[Hashable], b: Sequence[Hashable]) -> bool:
    """Whether more than MAX_MATCHES pairs of positions hold equal items."""
    if len(a) * len(b) <= MAX_MATCHES:
        return False
    left, right = Counter(a), Counter(b)
    return sum(number * right[item] for item, number in left.items()) > MAX_MATCHES


def kernel_installed() -> bool:
    """Whether the compiled kernel can be used."""
    return find_spec("numba") is not None


def _exact(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    found = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(block.a, block.b, block.size) for block in found[:-1]]


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


def _compiled(sides: list[Sequence[int]], lengths: list[int]) -> BlockTable:
    from spanwise.text.matching_kernel import find_blocks  # noqa: PLC0415 - it needs numba, which is an extra

    ids = _small_numbers(sides)
    edges = np.zeros(len(sides) + 1, dtype=np.int64)
    np.cumsum(lengths, out=edges[1:])
    blocks = np.empty((len(ids) // 2 + 1, 3), dtype=np.int32)
    offsets = np.zeros(len(sides) // 2 + 1, dtype=np.int64)
    find_blocks(ids, edges, blocks, offsets)
    return BlockTable(blocks[: offsets[-1]], offsets)


def _small_numbers(sides: list[Sequence[int]]) -> NDArray[np.int32]:
    """All items in one array: themselves, or numbers in their place where they are too large for a table by item."""
    flat = array("q")
    add = flat.fromlist  # by far the fastest way from lists of numbers into an array
    for side in sides:
        add(side if isinstance(side, list) else list(side))
    ids = np.frombuffer(flat, dtype=np.int64) if flat else np.empty(0, np.int64)
    if len(ids) and ids.max() >= _SMALL_ID:
        ids = np.unique(ids, return_inverse=True)[1]
    return ids.astype(np.int32)


def _with_coarse(table: BlockTable, large: dict[int, Any]) -> BlockTable:
    rows = [_coarse(*large[k]) if k in large else table[k] for k in range(len(table))]
    return _table(rows, frozenset(large))


def _one_by_one(pairs: Sequence[tuple[Sequence[Hashable], Sequence[Hashable]]]) -> BlockTable:
    found = [matching_blocks(a, b) for a, b in pairs]
    coarse = frozenset(k for k, (_, is_coarse) in enumerate(found) if is_coarse)
    return _table([blocks for blocks, _ in found], coarse)


def _table(rows: list[list[Block]], coarse: frozenset[int]) -> BlockTable:
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    blocks = np.array([block for row in rows for block in row], dtype=np.int32).reshape(-1, 3)
    return BlockTable(blocks, offsets, coarse)


Method = Literal["matching-blocks", "levenshtein", "positional"]
METHODS: tuple[Method, ...] = get_args(Method)
MERGE_GAP = 2
"""Matching blocks of up to so many items between two changes are chance and belong to one change with them."""


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


def aligned_tables(
    pairs: Sequence[tuple[Sequence[Any], Sequence[Any]]], *, merge_gap: int | None = None, ids: bool = False
) -> list[tuple[list[Block], bool]]:
    """What `aligned_blocks` gives for every pair by matching blocks, many times as fast for many pairs."""
    table: BlockTable = (match_id_pairs if ids else match_pairs)(pairs)
    gap = MERGE_GAP if merge_gap is None else merge_gap
    return [(merged(table[k], len(a), len(b), gap), k in table.coarse) for k, (a, b) in enumerate(pairs)]


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


def _levenshtein(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 - an extra, needed for this method alone

    found = cast("list[tuple[str, int, int, int, int]]", Levenshtein.opcodes(a, b).as_list())
    return [(start, to, end - start) for tag, start, end, to, _ in found if tag == "equal"]


def _positional(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    blocks: list[Block] = []
    start = 0
    for same, run in groupby(zip(a, b, strict=False), key=lambda pair: pair[0] == pair[1]):
        size = len(list(run))
        blocks += [(start, start, size)] if same else []
        start += size
    return blocks
