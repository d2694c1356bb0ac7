"""How two sequences are aligned: which items of the one stay as which items of the other, by a named method.

"matching-blocks" is the default; "levenshtein" is what other work uses; "positional" compares equal indices, as Xu et
al. 2024 print it, and calls everything behind one insertion changed. All give the stretches that stay, in order; what
lies between two is one change. Knows nothing of texts or tokenizers.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby
from typing import Any, Literal, cast, get_args

from spanwise.errors import ConfigError
from spanwise.text.matching import Block, BlockTable, match_id_pairs, match_pairs, matching_blocks

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
