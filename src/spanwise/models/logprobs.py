"""Log-probabilities and entropies of given tokens from hidden states, without the logits of a whole batch.

The vocabulary head is applied to a few tokens at a time and again in the backward pass, so that memory grows with the
number of tokens but never with tokens x vocabulary. The arithmetic after the head is float32 whatever the model's
precision. Knows nothing of prompts, batches or models. Shapes: n tokens, h hidden, v vocabulary, k support.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

CHUNK_ELEMENTS = 2**22
"""Logits held at a time: 16 MiB of float32, which stays near the processor's caches."""


@dataclass(frozen=True)
class _Question:
    """What is asked of a batch of hidden states."""

    ids: Int[Tensor, " n"]
    support: Int[Tensor, "n k"] | None
    temperature: float
    entropy: bool
    chunk: int

    def parts(self) -> list[slice]:
        count = len(self.ids)
        return [slice(start, min(start + self.chunk, count)) for start in range(0, count, self.chunk)]


def token_logprobs(
    hidden: Float[Tensor, "n h"],
    head: nn.Linear,
    ids: Int[Tensor, " n"],
    *,
    temperature: float = 1.0,
    support: Int[Tensor, "n k"] | None = None,
    entropy: bool = False,
    chunk: int | None = None,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"] | None]:
    """The log of p(ids | hidden) and, when asked for, the entropy of p = softmax(head(hidden) / temperature).

    With `support`, p is the softmax over those ids alone and `ids` must be among them. `chunk` is the number of tokens
    whose logits are held at a time.
    """
    weight: Tensor = head.weight
    bias = cast("Tensor | None", head.bias)
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    size = chunk or max(1, CHUNK_ELEMENTS // weight.shape[0])
    question = _Question(ids, support, temperature, entropy, size)
    logprobs, entropies = _ChunkedLogprobs.apply(hidden, weight, bias, question)
    return logprobs, entropies if entropy else None


def logits_of(
    hidden: Float[Tensor, "n h"], weight: Float[Tensor, "v h"], bias: Float[Tensor, " v"] | None, temperature: float
) -> Float[Tensor, "n v"]:
    """The vocabulary head's output over the temperature, in at least float32."""
    logits = functional.linear(hidden, weight, bias)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits if temperature == 1.0 else logits / temperature


class _ChunkedLogprobs(torch.autograd.Function):
    """log p(id) and H(p) for p = softmax(z), z = (h W' + b) / temperature, restricted to the support where given.

    Backward, from z recomputed: d log p(i) / dz = onehot(i) - p and dH / dz = -p (log p + H).
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, question: _Question
    ) -> tuple[Tensor, Tensor]:
        count = len(question.ids)
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        logprobs = hidden.new_empty(count, dtype=dtype)
        entropies = hidden.new_zeros(count if question.entropy else 0, dtype=dtype)
        for part in question.parts():
            logits = logits_of(hidden[part], weight, bias, question.temperature)
            chosen = logits.gather(1, question.ids[part, None])[:, 0]
            if question.support is not None:
                logits = logits.gather(1, question.support[part])
            total = logits.logsumexp(1)
            logprobs[part] = chosen - total
            if question.entropy:
                entropies[part] = total - (torch.softmax(logits, 1) * logits).sum(1)
        ctx.save_for_backward(hidden, weight, bias, entropies)
        ctx.question = question
        return logprobs, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, entropies = ctx.saved_tensors
        question: _Question = ctx.question
        wide = torch.promote_types(hidden.dtype, torch.float32)
        to_hidden, to_weight, to_bias = (
            torch.zeros_like(tensor, dtype=tensor.dtype if tensor is hidden else wide) if needed else None
            for tensor, needed in zip((hidden, weight, bias), ctx.needs_input_grad[:3], strict=True)
        )
        for part in question.parts():
            logits = logits_of(hidden[part], weight, bias, question.temperature)
            by_logits = _gradient_of_logits(logits, question, part, entropies, gradients).div_(question.temperature)
            narrow = by_logits.to(hidden.dtype)
            if to_hidden is not None:
                to_hidden[part] = narrow @ weight
            if to_weight is not None:
                to_weight += narrow.T @ hidden[part]
            if to_bias is not None:
                to_bias += by_logits.sum(0)
        return (
            to_hidden,
            None if to_weight is None else to_weight.to(weight.dtype),
            None if to_bias is None else to_bias.to(bias.dtype),
            None,
        )


def _gradient_of_logits(
    logits: Tensor, question: _Question, part: slice, entropies: Tensor, gradients: tuple[Tensor, ...]
) -> Tensor:
    """The gradient with respect to one part's logits; `gradients` are those of log-probabilities and entropies."""
    by_logprobs = gradients[0][part, None]
    support = None if question.support is None else question.support[part]
    log_p = torch.log_softmax(logits if support is None else logits.gather(1, support), 1)
    p = log_p.exp()
    result = -by_logprobs * p
    if question.entropy:
        result -= gradients[1][part, None] * p * (log_p + entropies[part, None])
    if support is not None:
        result = torch.zeros_like(logits).scatter_(1, support, result)
    return result.scatter_add_(1, question.ids[part, None], by_logprobs)
