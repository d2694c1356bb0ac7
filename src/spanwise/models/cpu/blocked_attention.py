"""Causal self-attention of whole sequences in blocks that stay in a processor's cache, with a backward pass of its own.

A block of queries of many heads at once meets all keys before its end in one batched product, which is what the matrix
library is quick at. A block has about BLOCK_SCORES scores at most and none are kept: the backward pass computes them
again from the logarithm of each query's sum. So memory grows with the number of tokens, not with its square.
Two custom operators, so that compiled code calls them as they are and does not unroll their loops. Knows no models.
Shapes: n key heads of all sequences together, r query heads on each, t tokens, d per head.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK_ROWS = 64
"""Queries of one head per block; of those scores that are in a block's last columns, half are computed in vain."""
BLOCK_SCORES = 400_000
"""Of one block, unless one head's rows alone have more: 0.8 MB in bfloat16. Half as many cost a sixth more time."""


@no_type_check  # compiled code calls it, and cannot read the tests' checks of shapes
def causal_attention(
    query: Float[Tensor, "b h t d"], key: Float[Tensor, "b kv t d"], value: Float[Tensor, "b kv t d"], scale: float
) -> Float[Tensor, "b t h d"]:
    """softmax(scale q k') v over the keys up to each query; heads share keys in turn, as transformers repeats them."""
    return _forward(query, key, value, scale)[0]


@torch.library.custom_op("spanwise::causal_attention", mutates_args=(), device_types="cpu")
def _forward(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The states and, per query, the logarithm to base 2 of its sum of exponentials."""
    n, rate = key.shape[0] * key.shape[1], scale * math.log2(math.e)
    q, k, v = _by_key_heads(query, n), _by_key_heads(key, n)[:, 0], _by_key_heads(value, n)[:, 0]
    states, totals = torch.empty_like(q), q.new_empty(q.shape[:3], dtype=_wide(q))
    room = _Room(q)
    for block in _blocks(q):
        scores = room.product(block.queries(q), block.keys(k))
        # The highest score is subtracted in the pass that scales and changes the base.
        highest = block.hide_future_(scores).amax(2, keepdim=True).mul_(-rate)
        p = torch.add(highest, scores, alpha=rate, out=scores).exp2_()
        total = p.sum(2, keepdim=True)
        block.put(states, torch.bmm(room.narrowed(p), block.keys(v)).div(total))
        block.put(totals[..., None], total.log2_().sub_(highest))
    return states.view(query.shape).transpose(1, 2).contiguous(), totals.view(query.shape[:3])


@torch.library.custom_op("spanwise::causal_attention_backward", mutates_args=(), device_types="cpu")
def _backward(
    gradient: Tensor, inputs: list[Tensor], outputs: list[Tensor], scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """With p recomputed: dv = p' g and, for s = scale q k', ds = p (g v' - sum(g states))."""
    (query, key, value), (states, totals) = inputs, outputs
    n, rate = key.shape[0] * key.shape[1], scale * math.log2(math.e)
    q, k, v = _by_key_heads(query, n), _by_key_heads(key, n)[:, 0], _by_key_heads(value, n)[:, 0]
    g = _by_key_heads(gradient.transpose(1, 2), n)
    o, log_total = _by_key_heads(states.transpose(1, 2), n), totals.view(*q.shape[:3], 1)
    to_q, to_k, to_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    rooms = _Room(q), _Room(q)
    for block in _blocks(q):
        queries, keys, g_rows = block.queries(q), block.keys(k), block.queries(g)
        p = block.hide_future_(rooms[0].product(queries, keys))
        p = torch.add(block.queries(log_total).neg(), p, alpha=rate, out=p).exp2_()
        mean = (g_rows.to(p.dtype) * block.queries(o)).sum(2, keepdim=True).mul_(-scale)
        by_p = rooms[1].product(g_rows, block.keys(v))
        by_scores = rooms[1].narrowed(torch.add(mean, by_p, alpha=scale, out=by_p).mul_(p))
        block.accumulate(to_v, rooms[0].narrowed(p), g_rows)
        block.accumulate(to_k, by_scores, queries)
        block.put(to_q, torch.bmm(by_scores, keys))
    return to_q.view(query.shape), to_k.view(key.shape), to_v.view(value.shape)


@dataclass(frozen=True)
class _Block:
    """Some queries of some key heads, and the keys up to the last of these queries; `last` if it has all keys."""

    heads: slice
    rows: slice
    last: bool

    def queries(self, tensor: Tensor) -> Tensor:
        """(n, r, t, d) to this block's rows (heads, r x rows, d)."""
        return tensor[self.heads, :, self.rows].flatten(1, 2)

    def keys(self, tensor: Tensor) -> Tensor:
        """(n, t, d) to this block's (heads, keys, d)."""
        return tensor[self.heads, : self.rows.stop]

    def put(self, tensor: Tensor, rows: Tensor) -> None:
        """The inverse of `queries`."""
        block = tensor[self.heads, :, self.rows]
        block.copy_(rows.view(block.shape))

    def accumulate(self, tensor: Tensor, weights: Tensor, rows: Tensor) -> None:
        """Adds weights' rows to what the blocks before this one left for its keys; the first one has all keys."""
        keys = self.keys(tensor)
        if self.last:
            torch.bmm(weights.transpose(1, 2), rows, out=keys)
        else:
            keys.baddbmm_(weights.transpose(1, 2), rows)

    def hide_future_(self, scores: Tensor) -> Tensor:
        """Scores of keys behind their query become minus infinity; only the newest keys have any."""
        rows = self.rows.stop - self.rows.start
        future = scores.new_full((rows, rows), -math.inf).triu_(1)
        scores.view(len(scores), -1, rows, scores.shape[2])[..., self.rows.start :].add_(future)
        return scores


class _Room:
    """Memory for one block's scores, in the tensors' type and, for softmax, in at least float32.

    Products of bfloat16 are rounded to it before softmax sees them, as in any attention made of separate products:
    the root mean square error of the states is .0007 instead of the kernel's .0004 (of states around 1), that of the
    gradients the same. Exact scores would need float32 products, at four times the price of the product.
    """

    def __init__(self, q: Tensor) -> None:
        rows, heads = _sizes(q)
        self._narrow = q.new_empty(heads * q.shape[1] * rows * q.shape[2])
        self._wide = self._narrow if q.dtype == _wide(q) else self._narrow.to(_wide(q))

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """The wide left right'."""
        shape = len(left), left.shape[1], right.shape[1]
        narrow = torch.bmm(left, right.transpose(1, 2), out=self._narrow[: math.prod(shape)].view(shape))
        return narrow if self._wide is self._narrow else self._wide[: narrow.numel()].view(shape).copy_(narrow)

    def narrowed(self, wide: Tensor) -> Tensor:
        """The same numbers in the tensors' type."""
        return wide if self._wide is self._narrow else self._narrow[: wide.numel()].view(wide.shape).copy_(wide)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _by_key_heads(tensor: Tensor, n: int) -> Tensor:
    """(b, h, t, d) to (n, r, t, d), in one piece."""
    return tensor.contiguous().view(n, -1, *tensor.shape[2:])


def _sizes(q: Tensor) -> tuple[int, int]:
    """Rows of each query head and number of key heads in a block; the same for many lengths.

    For each shape of a product oneDNN makes a kernel, so all blocks but the last are alike whatever the length.
    """
    n, r, t = q.shape[:3]
    rows, columns = min(BLOCK_ROWS, t), -(-t // BLOCK_ROWS) * BLOCK_ROWS
    return rows, max(1, min(n, BLOCK_SCORES // (r * rows * columns)))


def _blocks(q: Tensor) -> Iterator[_Block]:
    """All blocks of (n, r, t, d); of the same heads, the last rows come first."""
    (n, _, t), (rows, heads) = q.shape[:3], _sizes(q)
    for first in range(0, n, heads):
        for start in reversed(range(0, t, rows)):
            yield _Block(slice(first, min(first + heads, n)), slice(start, min(start + rows, t)), start + rows >= t)


@_forward.register_fake
def _(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    b, h, t, d = query.shape
    return query.new_empty(b, t, h, d), query.new_empty(b, h, t, dtype=_wide(query))


@_backward.register_fake
def _(_gradient: Tensor, inputs: list[Tensor], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = (tensor.new_empty(tensor.shape) for tensor in inputs)
    return query, key, value


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, float], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.scale = inputs[3]


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor, Tensor, None]:
    saved = list(ctx.saved_tensors)
    return *_backward(gradient, saved[:3], saved[3:], ctx.scale), None


_forward.register_autograd(_differentiate, setup_context=_keep)
