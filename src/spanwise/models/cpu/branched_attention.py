"""Attention of responses that branch off a few prompts: each prompt is read once, and there is no padding.

`Branches` is for whole responses, which stand with their prompts in one row and take gradients; `Trunks` is for
responses that are written token by token and have keys and values of their own beside those of their prompts.
`reading` tells `attention.attend` which of them the model reads. Every part is PyTorch's own kernel for processors; the
parts of a softmax are joined by the logarithms of their sums. Knows nothing of policies.
Shapes: n tokens of the row, h heads, kv heads of keys, d per head, t tokens read so far.
"""

import contextlib
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, no_type_check, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_forward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # pyright: ignore[reportPrivateUsage] - no public function gives the logarithms, too
_backward: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward  # pyright: ignore[reportPrivateUsage] - takes those of a whole softmax and the gradient of a part

NOTHING_HIDDEN = torch.ones((1, 1, 1, 1), dtype=torch.bool)
"""A mask that transformers, which takes those of four dimensions as they are, hands on where a layout stands for it."""


@runtime_checkable
class BranchLayout(Protocol):
    """What the model reads at the moment, where that is more than rows of tokens."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, /) -> Tensor:
        """The states (b, t, h, d) of queries (b, h, t, d) in layer number `layer`."""
        ...


_READ: ContextVar[BranchLayout | None] = ContextVar("layout", default=None)


@contextlib.contextmanager
def reading(layout: BranchLayout) -> Generator[None]:
    """A block in which models attend as `layout` says."""
    token = _READ.set(layout)
    try:
        yield
    finally:
        _READ.reset(token)


def read_now() -> BranchLayout | None:
    """The layout of the block that we are in."""
    return _READ.get()


def read_branches(decoder: nn.Module, ids: Int[Tensor, " n"], branches: "Branches") -> Float[Tensor, "n h"]:
    """The states of a row that stands as `branches` says; raises where the decoder needs more than that."""
    with reading(branches):
        output = decoder(
            input_ids=ids[None], position_ids=branches.positions, attention_mask=NOTHING_HIDDEN, use_cache=False
        )
    return output.last_hidden_state[0]


@dataclass(frozen=True)
class Branches:
    """A row of all prompts and then all responses, those to one prompt together in the order of the prompts.

    `prompts` are the lengths of the prompts; `responses` those of each prompt's responses, any of which may be 0.
    """

    prompts: Sequence[int]
    responses: Sequence[Sequence[int]]

    @cached_property
    def trunk(self) -> int:
        """Tokens of all prompts."""
        return sum(self.prompts)

    @cached_property
    def lengths(self) -> Int[Tensor, " r"]:
        """Of all responses."""
        return torch.tensor([length for lengths in self.responses for length in lengths], dtype=torch.long)

    @cached_property
    def positions(self) -> Int[Tensor, "1 n"]:
        """Of each token in its own text."""
        starts = [p for p, lengths in zip(self.prompts, self.responses, strict=True) for _ in lengths]
        spans = [(0, length) for length in self.prompts]
        spans += [(start, start + length) for start, length in zip(starts, self.lengths.tolist(), strict=True)]
        return torch.cat([torch.arange(*span) for span in spans])[None]

    @cached_property
    def padded(self) -> Int[Tensor, "r t"]:
        """Where the token of each place of padded responses stands among all tokens of responses."""
        width = int(self.lengths.max())
        starts = self.lengths.cumsum(0) - self.lengths
        places = starts[:, None] + torch.arange(width).minimum((self.lengths[:, None] - 1).clamp(min=0))
        return places.clamp(max=int(self.lengths.sum()) - 1)

    @cached_property
    def filled(self) -> Tensor:
        """(r, t): True = a token and no padding."""
        return torch.arange(int(self.lengths.max())) < self.lengths[:, None]

    @cached_property
    def packed(self) -> Int[Tensor, " n"]:
        """The inverse of `padded`: which places of padded responses have tokens."""
        return self.filled.flatten().nonzero()[:, 0]

    @cached_property
    def families(self) -> list[tuple[slice, slice]]:
        """Of each prompt, its place in the row and that of all its responses."""
        families, at, after = list[tuple[slice, slice]](), 0, self.trunk
        for length, lengths in zip(self.prompts, self.responses, strict=True):
            families.append((slice(at, at + length), slice(after, after + sum(lengths))))
            at, after = at + length, after + sum(lengths)
        return families

    def attend(self, _layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, /) -> Tensor:
        """Prompt tokens see what precedes them, response tokens their prompt and what precedes them."""
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        states: Tensor = _Branched.apply(query, key, value, (self, scale))
        return states.transpose(1, 2)

    def spread(self, x: Tensor) -> Tensor:
        """(1, h, n, d) of responses' tokens to padded (r, h, t, d)."""
        rows, width = self.padded.shape
        return x[0].index_select(1, self.padded.flatten()).unflatten(1, (rows, width)).transpose(0, 1)

    def gather(self, x: Tensor) -> Tensor:
        """The inverse of `spread`."""
        return x.transpose(0, 1).flatten(1, 2).index_select(1, self.packed)[None]


class _Branched(torch.autograd.Function):
    """Three kinds of parts: prompts by themselves, responses on their prompts, responses on themselves.

    A token's softmax over two parts is the mean of both by the sums of their exponentials. The gradient of a part is
    what the kernel gives for it when it is told the states and the sums of the whole.
    """

    @staticmethod
    @no_type_check
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, how: tuple[Branches, float]) -> Tensor:
        branches, scale = how
        states = torch.empty_like(q)
        totals = q.new_empty(q.shape[:3], dtype=torch.promote_types(q.dtype, torch.float32))
        for prompt, responses in branches.families:
            states[:, :, prompt], totals[:, :, prompt] = _part((q, k, v), prompt, prompt, scale, causal=True)
            if responses.stop > responses.start:
                states[:, :, responses], totals[:, :, responses] = _part((q, k, v), responses, prompt, scale)
        if len(branches.packed):
            after = slice(branches.trunk, None)
            padded = [branches.spread(x[:, :, after]) for x in (q, k, v)]
            own, own_totals = _forward(*padded, 0.0, True, scale=scale)
            own, own_totals = branches.gather(own), branches.gather(own_totals[..., None])
            joined = torch.logaddexp(totals[:, :, after, None], own_totals)
            share = (own_totals - joined).exp_()
            states[:, :, after].lerp_(own, share.to(own.dtype))
            totals[:, :, after] = joined[..., 0]
        ctx.save_for_backward(q, k, v, states, totals)
        ctx.branches, ctx.scale = branches, scale
        return states

    @staticmethod
    @no_type_check
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, states, totals = ctx.saved_tensors
        branches, scale = ctx.branches, ctx.scale
        to_q, to_k, to_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)

        def part(queries: slice, keys: slice, *, causal: bool = False) -> tuple[Tensor, Tensor, Tensor]:
            inputs = q[:, :, queries], k[:, :, keys], v[:, :, keys]
            whole = states[:, :, queries], totals[:, :, queries]
            return _backward(gradient[:, :, queries], *inputs, *whole, 0.0, causal, scale=scale)

        for prompt, responses in branches.families:
            to_q[:, :, prompt], to_k[:, :, prompt], to_v[:, :, prompt] = part(prompt, prompt, causal=True)
            if responses.stop > responses.start:
                to_q[:, :, responses], to_keys, to_values = part(responses, prompt)
                to_k[:, :, prompt] += to_keys
                to_v[:, :, prompt] += to_values
        if len(branches.packed):
            after = slice(branches.trunk, None)
            inputs = [branches.spread(x[:, :, after]) for x in (q, k, v, states)]
            # Padding has no gradient, and an infinite sum leaves it no probability.
            empty = ~branches.filled[:, None, :, None]
            incoming = branches.spread(gradient[:, :, after]).masked_fill(empty, 0.0)
            sums = branches.spread(totals[:, :, after, None]).masked_fill(empty, torch.inf)[..., 0]
            found = _backward(incoming, *inputs, sums, 0.0, True, scale=scale)
            own = [branches.gather(x) for x in found]
            to_q[:, :, after] += own[0]
            to_k[:, :, after], to_v[:, :, after] = own[1:]
        return to_q, to_k, to_v, None


@no_type_check
def _part(
    inputs: tuple[Tensor, Tensor, Tensor], queries: slice, keys: slice, scale: float, *, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """States and sums of the queries at one place on the keys at another."""
    q, k, v = inputs
    return _forward(q[:, :, queries], k[:, :, keys], v[:, :, keys], 0.0, causal, scale=scale)


class Trunks:
    """The keys and values of prompts, by layer, and whose prompt each response under way has.

    Keys and values are (p, kv, l, d); `mask` (p, l) is True at tokens of the prompts, or None where all are.
    Responses stand in the order of their prompts, `samples` of each at first.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], mask: Tensor | None, samples: int) -> None:
        self._layers = list(layers)
        self._hides: Tensor | None = None
        if mask is not None:
            self._hides = layers[0][0].new_zeros(len(mask), 1, 1, mask.shape[1])
            self._hides.masked_fill_(~mask[:, None, None], -torch.inf)
        self._owner = torch.arange(len(layers[0][0])).repeat_interleave(samples)
        self._width = samples
        self._slots: Tensor | None = None
        self._rows: Tensor | None = None

    def keep(self, rows: Int[Tensor, " n"]) -> None:
        """Drops all other responses, and prompts that have none left; `rows` go up."""
        prompts, self._owner, counts = self._owner[rows].unique_consecutive(return_inverse=True, return_counts=True)
        if len(prompts) < len(self._layers[0][0]):
            self._layers = [(keys[prompts], values[prompts]) for keys, values in self._layers]
            self._hides = None if self._hides is None else self._hides[prompts]
        self._width = int(counts.max())
        ranks = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[self._owner]
        # Prompts have room for as many responses as the one with most; what is nobody's is read for nothing.
        slots = self._owner * self._width + ranks
        vacant = torch.zeros(len(prompts) * self._width, dtype=torch.long)
        self._slots, self._rows = slots, vacant.index_copy_(0, slots, torch.arange(len(rows)))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, /) -> Tensor:
        """The newest token of each response sees its prompt and all that was written so far, itself included."""
        if query.shape[2] != 1:
            raise NotImplementedError("responses are written one token at a time")
        keys, values = self._layers[layer]
        asked = query[:, :, 0] if self._rows is None else query[:, :, 0].index_select(0, self._rows)
        asked = asked.unflatten(0, (len(keys), self._width)).transpose(1, 2)
        hides = None if self._hides is None else self._hides.expand(-1, 1, self._width, -1)
        states, totals = _forward(asked, keys, values, 0.0, False, attn_mask=hides, scale=scale)
        states, totals = states.transpose(1, 2).flatten(0, 1), totals.transpose(1, 2).flatten(0, 1)[..., None]
        if self._slots is not None:
            states, totals = states.index_select(0, self._slots), totals.index_select(0, self._slots)
        own, own_totals = _forward(query, key, value, 0.0, False, scale=scale)
        share = (own_totals - totals).sigmoid_().to(own.dtype)
        return states.lerp(own[:, :, 0], share)[:, None]
