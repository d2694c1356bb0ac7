"""Batches of encoded responses; responses to one prompt may share a row, so that a prompt is read once.

A packed row holds the tokens that its responses have in common, then what is each one's own. `branches` says which:
0 = common, k = of the k-th response. A token sees the common ones and those of its own branch before it, which for a
model that reads left to right gives the states of separate rows. Knows nothing of models. Shapes: b rows, l tokens,
n pieces, f features.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.reward_models.data.inputs import EncodedResponse
from spanwise.reward_models.features import RESPONSE_FEATURES
from spanwise.reward_models.heads import HeadSpec


@runtime_checkable
class HasLength(Protocol):
    """What can be sorted into batches."""

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        ...


_Item = TypeVar("_Item", bound=HasLength)


def by_length(items: Sequence[_Item], *, batch_size: int) -> Iterator[list[_Item]]:
    """All items once, shortest first, in batches of which the last may be smaller: the order for measuring."""
    ordered = sorted(items, key=lambda item: item.length)
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]


def reading_order(encoded: Sequence[EncodedResponse], *, batch_size: int, pack_to: int) -> Iterator[list[int]]:
    """Positions of all responses in batches that `collate` pads and packs little: those of one prompt together, short
    rows before long ones.
    """
    order = sorted(range(len(encoded)), key=lambda position: encoded[position].ids)
    rows: list[tuple[int, list[int]]] = []
    taken = 0
    for row in _pack([encoded[position] for position in order], pack_to):
        members = order[taken : taken + len(row.items)]
        taken += len(members)
        rows += [(row.length, members[start : start + batch_size]) for start in range(0, len(members), batch_size)]
    batch: list[int] = []
    for _, members in sorted(rows, key=lambda pair: pair[0]):
        if batch and len(batch) + len(members) > batch_size:
            yield batch
            batch = []
        batch = batch + members
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class PieceBatch:
    """Padded inputs and the pieces of them to score: columns of `pieces` are row, head, first token, last token."""

    ids: Int[Tensor, "b l"]
    mask: Bool[Tensor, "b l"]
    """True = a real token."""
    pieces: Int[Tensor, "n 4"]
    branches: Int[Tensor, "b l"] | None = None
    """Which response of its row a token belongs to, 0 = all; None = one response per row."""
    features: Float[Tensor, "n f"] | None = None
    """Of each piece its counted features, filled up with 0 to the width of a whole response's; None = not counted."""
    contexts: Int[Tensor, "n 4"] | None = None
    """Of each piece of one token: first and last token of its clause, first and last of its response."""

    def to(self, device: torch.device | str) -> "PieceBatch":
        """The same batch on `device`."""
        branches = None if self.branches is None else self.branches.to(device)
        features = None if self.features is None else self.features.to(device)
        contexts = None if self.contexts is None else self.contexts.to(device)
        return PieceBatch(
            self.ids.to(device), self.mask.to(device), self.pieces.to(device), branches, features, contexts
        )


def collate(
    encoded: Sequence[EncodedResponse], heads: Sequence[HeadSpec], *, pad_id: int, pack_to: int = 0
) -> PieceBatch:
    """Pads responses on the right; pieces go response by response, head by head, segment by segment.

    Neighbours with a common beginning share a row of at most `pack_to` tokens; 0 gives each response its own row.
    """
    rows = _pack(encoded, pack_to)
    width = max(row.length for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    branches = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    pieces: list[tuple[int, int, int, int]] = []
    contexts: list[tuple[int, int, int, int]] = []
    for number, row in enumerate(rows):
        mask[number, : row.length] = True
        ids[number, : row.common] = torch.tensor(row.items[0].ids[: row.common], dtype=torch.long)
        start = row.common
        for branch, item in enumerate(row.items, start=1):
            branch_ids = item.ids[row.common :]
            ids[number, start : start + len(branch_ids)] = torch.tensor(branch_ids, dtype=torch.long)
            branches[number, start : start + len(branch_ids)] = branch
            pieces += _pieces(item, heads, number, shift=start - row.common)
            contexts += _contexts(item, heads, shift=start - row.common)
            start += len(branch_ids)
    shared = len(rows) < len(encoded)
    return PieceBatch(
        ids,
        mask,
        torch.tensor(pieces, dtype=torch.long).reshape(-1, 4),
        branches if shared else None,
        _features(encoded, heads),
        torch.tensor(contexts, dtype=torch.long) if contexts else None,
    )


def branch_mask(mask: Bool[Tensor, "b l"], branches: Int[Tensor, "b l"]) -> Bool[Tensor, "b l l"]:
    """True where token i (second axis) may see token j (third axis): not later, real, common or of its branch.

    Padding sees itself, so that no row of attention is empty.
    """
    length = mask.shape[1]
    order = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    related = (branches[:, None, :] == 0) | (branches[:, None, :] == branches[:, :, None])
    itself = torch.eye(length, dtype=torch.bool, device=mask.device)
    return (order & related & mask[:, None, :]) | itself


def branch_positions(branches: Int[Tensor, "b l"]) -> Int[Tensor, "b l"]:
    """The position of each token in its own response: branches start where the common beginning ends."""
    columns = torch.arange(branches.shape[1], device=branches.device).expand_as(branches)
    starts = torch.ones_like(branches, dtype=torch.bool)
    starts[:, 1:] = branches[:, 1:] != branches[:, :-1]
    branch_start = torch.where(starts, columns, torch.zeros_like(columns)).cummax(1).values
    first_branch = torch.where(branches > 0, columns, branches.shape[1]).min(1, keepdim=True).values
    return torch.where(branches > 0, columns - branch_start + first_branch, columns)


@dataclass
class _Row:
    items: list[EncodedResponse]
    common: int
    """How many tokens at the start all items share."""

    @property
    def length(self) -> int:
        return self.common + sum(len(item.ids) - self.common for item in self.items)


def _pack(encoded: Sequence[EncodedResponse], limit: int) -> list[_Row]:
    """Rows of neighbours; a newcomer must keep at least half of the common beginning."""
    rows: list[_Row] = []
    for item in encoded:
        if rows and limit:
            row = rows[-1]
            wider = _Row([*row.items, item], min(row.common, _common(row.items[0], item)))
            if 2 * wider.common >= row.common > 0 and wider.length <= limit:
                rows[-1] = wider
                continue
        rows.append(_Row([item], _beginning(item)))
    return rows


def _beginning(item: EncodedResponse) -> int:
    """The tokens before the first piece."""
    return min((first for pieces in item.pieces.values() for first, _ in pieces), default=len(item.ids))


def _common(left: EncodedResponse, right: EncodedResponse) -> int:
    limit = min(_beginning(left), _beginning(right))
    pairs = zip(left.ids[:limit], right.ids[:limit], strict=True)
    return next((index for index, (left_id, other) in enumerate(pairs) if left_id != other), limit)


def _pieces(
    item: EncodedResponse, heads: Sequence[HeadSpec], row: int, *, shift: int
) -> list[tuple[int, int, int, int]]:
    return [
        (row, number, first + shift, last + shift)
        for number, head in enumerate(heads)
        for first, last in item.pieces[head.density]
    ]


def _contexts(item: EncodedResponse, heads: Sequence[HeadSpec], *, shift: int) -> list[tuple[int, int, int, int]]:
    """Of a token model alone, whose inputs say where clauses are; the closing token is a clause of its own."""
    tokens = item.pieces.get("token", ())
    if [head.density for head in heads] != ["token"] or "sub-sentence" not in item.pieces or not tokens:
        return []
    clauses = item.pieces["sub-sentence"]
    starts = [first for first, _ in clauses]
    contexts: list[tuple[int, int, int, int]] = []
    for token, _ in tokens:
        number = bisect_right(starts, token) - 1
        first, last = clauses[number] if number >= 0 and token <= clauses[number][1] else (token, token)
        contexts.append((first + shift, last + shift, tokens[0][0] + shift, tokens[-1][0] + shift))
    return contexts


def _features(encoded: Sequence[EncodedResponse], heads: Sequence[HeadSpec]) -> Float[Tensor, "n f"] | None:
    if not any(item.features for item in encoded):
        return None
    rows = [item.features[head.density] for item in encoded for head in heads]
    filled = [np.pad(features, ((0, 0), (0, len(RESPONSE_FEATURES) - features.shape[1]))) for features in rows]
    return torch.from_numpy(np.concatenate(filled)).float()
