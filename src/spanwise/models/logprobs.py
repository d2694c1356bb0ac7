"""Log-probabilities and entropies of given tokens from hidden states, without the logits of a whole batch.

The vocabulary head is applied to a few tokens at a time and again in the backward pass, so that memory grows with the
number of tokens but never with tokens x vocabulary. The arithmetic after the head is float32 whatever the model's
precision. Knows nothing of prompts, batches or models. Shapes: n tokens, h hidden, v vocabulary, k support.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

CHUNK_ELEMENTS = 2**22
"""Logits held at a time: 16 MiB of float32, which stays near the processor's caches."""
HALF_TOGETHER = 4
"""In half precision, the parts whose share of the head's gradient is added at once."""


@dataclass(frozen=True)
class VocabularyHead:
    """The first `size` rows of a linear map to logits: those that a tokenizer has tokens for.

    Many models have more rows than that, padded to a round number; without logits those ids have no probability.
    """

    linear: nn.Linear
    size: int

    @property
    def weight(self) -> Float[Tensor, "v h"]:
        """The weights, as they are where no row is left out."""
        weight: Tensor = self.linear.weight
        return weight if self.size == len(weight) else weight[: self.size]

    @property
    def bias(self) -> Float[Tensor, " v"] | None:
        """The offsets, where there are any."""
        bias = cast("Tensor | None", self.linear.bias)
        return bias if bias is None or self.size == len(bias) else bias[: self.size]


@dataclass(frozen=True)
class _Question:
    """What is asked of a batch of hidden states."""

    ids: Int[Tensor, " n"]
    support: Int[Tensor, "n k"] | None
    temperature: float
    entropy: bool
    chunk: int
    compiled: bool = False

    def parts(self) -> list[slice]:
        count = len(self.ids)
        return [slice(start, min(start + self.chunk, count)) for start in range(0, count, self.chunk)]


def token_logprobs(
    hidden: Float[Tensor, "n h"],
    head: nn.Linear | VocabularyHead,
    ids: Int[Tensor, " n"],
    *,
    temperature: float = 1.0,
    support: Int[Tensor, "n k"] | None = None,
    entropy: bool = False,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"] | None]:
    """The log of p(ids | hidden) and, when asked for, the entropy of p = softmax(head(hidden) / temperature).

    With `support`, p is the softmax over those ids alone and `ids` must be among them. `chunk` is the number of tokens
    whose logits are held at a time. `compiled` fuses what follows the head, which changes the last bits.
    """
    weight: Tensor = head.weight
    bias = cast("Tensor | None", head.bias)
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    size = chunk or max(1, CHUNK_ELEMENTS // weight.shape[0])
    question = _Question(ids, support, temperature, entropy, size, compiled)
    logprobs, entropies = _ChunkedLogprobs.apply(hidden, weight, bias, question)
    return logprobs, entropies if entropy else None


def logits_of(
    hidden: Float[Tensor, "n h"], weight: Float[Tensor, "v h"], bias: Float[Tensor, " v"] | None, temperature: float
) -> Float[Tensor, "n v"]:
    """The vocabulary head's output over the temperature, in at least float32."""
    return _scaled(functional.linear(hidden, weight, bias), temperature)


def _scaled(logits: Tensor, temperature: float) -> Tensor:
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
        answer = _fused(_answer) if question.compiled else _answer
        for part in question.parts():
            support = None if question.support is None else question.support[part]
            found: tuple[Tensor, Tensor | None] = answer(
                functional.linear(hidden[part], weight, bias), question.ids[part], support,
                question.temperature, question.entropy,
            )  # fmt: skip
            logprobs[part] = found[0]
            if found[1] is not None:
                entropies[part] = found[1]
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
        # Adding a product to the weight's gradient costs more than the product where that is in half precision.
        together, waiting = 1 if hidden.dtype == wide else HALF_TOGETHER, list[Tensor]()
        gradient = _fused(_gradient_of_logits) if question.compiled else _gradient_of_logits
        for part in question.parts():
            by_logits = gradient(
                functional.linear(hidden[part], weight, bias),
                question.ids[part],
                None if question.support is None else question.support[part],
                gradients[0][part],
                (gradients[1][part], entropies[part]) if question.entropy else None,
                temperature=question.temperature,
            )
            narrow = by_logits.to(hidden.dtype)
            if to_hidden is not None:
                to_hidden[part] = narrow @ weight
            if to_weight is not None:
                waiting.append(narrow)
                if len(waiting) == together or part.stop == len(hidden):
                    first = part.stop - sum(map(len, waiting))
                    to_weight += torch.cat(waiting).T @ hidden[first : part.stop]
                    waiting.clear()
            if to_bias is not None:
                to_bias += by_logits.sum(0)
        return (
            to_hidden,
            None if to_weight is None else to_weight.to(weight.dtype),
            None if to_bias is None else to_bias.to(bias.dtype),
            None,
        )


def _answer(
    logits: Tensor, ids: Tensor, support: Tensor | None, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and, if asked for, entropies of one part."""
    logits = _scaled(logits, temperature)
    chosen = logits.gather(1, ids[:, None])[:, 0]
    if support is not None:
        logits = logits.gather(1, support)
    total = logits.logsumexp(1)
    if not entropy:
        return chosen - total, None
    return chosen - total, total - (torch.softmax(logits, 1) * logits).sum(1)


def _gradient_of_logits(
    logits: Tensor,
    ids: Tensor,
    support: Tensor | None,
    by_logprobs: Tensor,
    by_entropies: tuple[Tensor, Tensor] | None,
    *,
    temperature: float,
) -> Tensor:
    """The gradient with respect to one part's logits.

    `by_logprobs` is the gradient of its log-probabilities, `by_entropies` that of its entropies and these themselves.
    """
    logits = _scaled(logits, temperature)
    chosen = logits if support is None else logits.gather(1, support)
    log_p = torch.log_softmax(chosen, 1)
    if by_entropies is None:
        result = log_p.exp_().mul_(-by_logprobs[:, None])
    else:
        p = log_p.exp()
        result = -by_logprobs[:, None] * p - by_entropies[0][:, None] * p * (log_p + by_entropies[1][:, None])
    if support is not None:
        result = torch.zeros_like(logits).scatter_(1, support, result)
    result.scatter_add_(1, ids[:, None], by_logprobs[:, None])
    return result if temperature == 1.0 else result.div_(temperature)


@functools.cache
def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True)
