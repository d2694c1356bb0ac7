"""Minimal edits on token ids: which tokens of the original and of the edit are changed, and which pairs stay.

Reward models learn from these sets: U1 of each side is `original_changed` and `edited_changed`, U0 are the
`unchanged_pairs` (Xu et al. 2024, equations 3 and 4, with the alignment in place of equal indices). The ids are those
of the response, cut out of prompt and response tokenised together. Each side ends with exactly one end-of-sequence
token, which is part of its length and stays, unless it is an anchor. Knows nothing of texts; `edits.py` does them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spanwise.core import ConfigError, DataError
from spanwise.text.matching import Block, Method, aligned_blocks

GapAnchor = Literal["end", "all", "none"]
"""Which insertions blame a token of the original: those at the end of it (its end-of-sequence token), all, or none."""
GAP_ANCHORS: tuple[GapAnchor, ...] = get_args(GapAnchor)


@dataclass(frozen=True, slots=True)
class TokenEdit:
    """An aligned pair of responses as token ids; the blocks are what stays, in order."""

    original: tuple[int, ...]
    edited: tuple[int, ...]
    blocks: tuple[Block, ...]
    """Start in the original, start in the edit, length; the end-of-sequence tokens are in the last one."""
    anchors: tuple[int, ...] = ()
    """Positions of the original whose token was the mistake: something should have been said in its place."""
    coarse: bool = False

    @property
    def changes(self) -> tuple[tuple[int, int, int, int], ...]:
        """Start and end in the original, start and end in the edit, of every change, in order."""
        edges = [(0, 0, 0), *self.blocks, (len(self.original), len(self.edited), 0)]
        gaps = [(a + n, c, b + n, d) for (a, b, n), (c, d, _) in pairwise(edges)]
        return tuple(gap for gap in gaps if gap[0] < gap[1] or gap[2] < gap[3])

    @property
    def original_changed(self) -> NDArray[np.bool_]:
        """U1 of the original: its tokens that are not in the edit, and the anchors."""
        changed = _outside([(a, n) for a, _, n in self.blocks], len(self.original))
        changed[list(self.anchors)] = True
        return changed

    @property
    def edited_changed(self) -> NDArray[np.bool_]:
        """U1 of the edit: its tokens that are not in the original."""
        return _outside([(b, n) for _, b, n in self.blocks], len(self.edited))

    @property
    def unchanged_pairs(self) -> NDArray[np.int64]:
        """U0: (position in the original, position in the edit) of the tokens that stay, less the anchors, (k, 2)."""
        pairs = [(a + k, b + k) for a, b, n in self.blocks for k in range(n) if a + k not in self.anchors]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def cut_by(self, window: int) -> bool:
        """Whether the first `window` tokens of each side miss part of a change: the pair must not be trained on."""
        inside_original = [*(end for _, end, _, _ in self.changes), *(anchor + 1 for anchor in self.anchors)]
        reach = max([*inside_original, *(end for _, _, _, end in self.changes)], default=0)
        return reach > window


def align_tokens(
    original: Sequence[int],
    edited: Sequence[int],
    *,
    eos: int | None = None,
    method: Method = "matching-blocks",
    merge_gap: int | None = None,
    gap_anchor: GapAnchor = "end",
) -> TokenEdit:
    """Aligns two responses; with `eos`, trailing end-of-sequence tokens become exactly one on each side.

    `merge_gap` as in `matching.aligned_blocks`. An insertion without an end-of-sequence token behind it has no anchor.
    """
    pair = (without_end(original, eos), without_end(edited, eos))
    blocks, coarse = aligned_blocks(*pair, method, merge_gap=merge_gap)
    return _token_edit(pair, blocks, coarse, eos=eos, gap_anchor=gap_anchor)


def align_token_pairs(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    eos: int | None = None,
    merge_gap: int | None = None,
    gap_anchor: GapAnchor = "end",
) -> list[TokenEdit]:
    """What `align_tokens` gives for every pair by matching blocks."""
    return [align_tokens(*pair, eos=eos, merge_gap=merge_gap, gap_anchor=gap_anchor) for pair in pairs]


def without_end(ids: Sequence[int], eos: int | None) -> tuple[int, ...]:
    """The ids up to the end-of-sequence tokens that close them; raises DataError for a negative id."""
    end = len(ids)
    while end and eos is not None and ids[end - 1] == eos:
        end -= 1
    if end and min(ids[:end]) < 0:
        raise DataError(f"Token id {min(ids[:end])} is negative; leave padding and label masks out of the response.")
    return tuple(ids[:end])


def _token_edit(
    pair: tuple[tuple[int, ...], tuple[int, ...]],
    blocks: Sequence[Block],
    coarse: bool,
    *,
    eos: int | None,
    gap_anchor: GapAnchor,
) -> TokenEdit:
    if gap_anchor not in GAP_ANCHORS:
        raise ConfigError(f"Unknown gap_anchor {gap_anchor!r}; use one of {', '.join(GAP_ANCHORS)}.")
    original, edited = pair
    if eos is not None:
        blocks = _with_end(blocks, len(original), len(edited))
        original, edited = (*original, eos), (*edited, eos)
    plain = TokenEdit(original, edited, tuple(blocks), coarse=coarse)
    if gap_anchor == "none":
        return plain
    after = [start for start, end, *_ in plain.changes if start == end and start < len(original)]
    last = len(original) - 1 if eos is not None else -1
    anchors = tuple(start for start in after if gap_anchor == "all" or start == last)
    return TokenEdit(original, edited, tuple(blocks), anchors, coarse)


def _with_end(blocks: Sequence[Block], original: int, edited: int) -> list[Block]:
    *before, last = blocks or [(original, edited, 0)]
    if (last[0] + last[2], last[1] + last[2]) == (original, edited):
        return [*before, (last[0], last[1], last[2] + 1)]
    return [*before, last, (original, edited, 1)]


def _outside(stretches: Sequence[tuple[int, int]], length: int) -> NDArray[np.bool_]:
    changed = np.ones(length, dtype=np.bool_)
    for start, size in stretches:
        changed[start : start + size] = False
    return changed
