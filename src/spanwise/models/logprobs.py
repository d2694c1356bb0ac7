"""Log-probabilities and entropies of given tokens from hidden states, without the logits of a whole batch.

The vocabulary head is applied to a few tokens at a time and again in the backward pass, so that memory grows with the
number of tokens but never with tokens x vocabulary. The arithmetic after the head is float32 whatever the model's
precision. Knows nothing of prompts or batches. Shapes: n tokens, h hidden, v vocabulary, k support.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig

from spanwise.models.cpu import linear, product, product_into

CHUNK_ELEMENTS = 2**23
"""Logits held at a time: 32 MiB of float32, enough rows for a fast product."""
HALF_TOGETHER = 2
"""In half precision, the parts whose share of the head's gradient is added at once."""

BARRED = -1e9
"""The logit of what cannot be drawn: its probability is 0 to the last bit, and its products with 0 are numbers."""


@dataclass(frozen=True)
class VocabularyHead:
    """The first `size` rows of a linear map to logits: those that a tokenizer has tokens for.

    Many models have more rows than that, padded to a round number; without logits those ids have no probability.
    Hidden states are multiplied by `scale` before the map; with a `softcap` c, logits z become c tanh(z / c).
    """

    linear: nn.Linear
    size: int
    scale: float = 1.0
    softcap: float | None = None

    @classmethod
    def named(cls, linear: nn.Linear, size: int, config: PreTrainedConfig) -> "VocabularyHead":
        """With what the model's config names: Cohere's logit_scale, Granite's logits_scaling, Gemma's softcap."""
        text = config.get_text_config()
        scale = float(getattr(text, "logit_scale", None) or 1.0) / float(getattr(text, "logits_scaling", None) or 1.0)
        return cls(linear, size, scale, getattr(text, "final_logit_softcapping", None))

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

    def logits(self, hidden: Float[Tensor, "n h"], temperature: float = 1.0) -> Float[Tensor, "n v"]:
        """The logits of hidden states over the temperature, in at least float32."""
        logits = linear(_times(hidden, self.scale), self.weight, self.bias)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.softcap is not None:
            logits = _capped_(logits, self.softcap)
        return logits if temperature == 1.0 else logits / temperature


@dataclass(frozen=True)
class _Question:
    """What is asked of a batch of hidden states."""

    ids: Int[Tensor, " n"]
    support: Int[Tensor, "n k"] | None
    temperature: float
    entropy: bool
    chunk: int
    softcap: float | None = None
    barred: tuple[Bool[Tensor, " n"], Int[Tensor, " e"]] | None = None

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
    barred: tuple[Bool[Tensor, " n"], Int[Tensor, " e"]] | None = None,
    entropy: bool = False,
    chunk: int | None = None,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"] | None]:
    """The log of p(ids | hidden) and, when asked for, the entropy of p = softmax(logits(hidden) / temperature).

    With `support`, p is the softmax over those ids alone and `ids` must be among them. `barred` names rows and the ids
    that have no probability there. `chunk` is the number of tokens
    whose logits are held at a time.
    """
    if isinstance(head, nn.Linear):
        head = VocabularyHead(head, head.out_features)
    hidden, weight, bias = _inputs(hidden, head)
    size = chunk or max(1, CHUNK_ELEMENTS // weight.shape[0])
    question = _Question(ids, support, temperature, entropy, size, head.softcap, barred)
    logprobs, entropies = _ChunkedLogprobs.apply(hidden, weight, bias, question)
    return logprobs, entropies if entropy else None


def weighted_logprobs(
    hidden: Float[Tensor, "n h"],
    head: VocabularyHead,
    ids: Int[Tensor, " n"],
    weights: Float[Tensor, " n"],
    *,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """The sum of weight x log p(ids | hidden), for weights that do not depend on what is learned.

    Its gradient is made on the way, so that the head is applied once and not again in the backward pass: three products
    where `token_logprobs` takes four.
    """
    hidden, weight, bias = _inputs(hidden, head)
    size = chunk or max(1, CHUNK_ELEMENTS // weight.shape[0])
    question = _Question(ids, None, 1.0, False, size, head.softcap)
    return _WeightedLogprobs.apply(hidden, weight, bias, question, weights, torch.is_grad_enabled())


def _inputs(hidden: Tensor, head: VocabularyHead) -> tuple[Tensor, Tensor, Tensor | None]:
    """Hidden states, weights and offsets as the head's product takes them."""
    weight, bias, hidden = head.weight, head.bias, _times(hidden, head.scale)
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    return hidden, weight, bias


def _times(hidden: Tensor, scale: float) -> Tensor:
    return hidden if scale == 1.0 else hidden * scale


def _capped_(logits: Tensor, softcap: float) -> Tensor:
    """C tanh(z / c), in the place of z."""
    return logits.div_(softcap).tanh_().mul_(softcap)


class _Room:
    """Memory for the logits of one part, used again for the next: to take it anew costs more than to fill it.

    `narrow` has room for several parts in the model's precision.
    """

    def __init__(self, hidden: Tensor, weight: Tensor, rows: int, parts: int = 1) -> None:
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        self.narrow = hidden.new_empty(min(rows * parts, len(hidden)), len(weight))
        self._wide = None if hidden.dtype == dtype else hidden.new_empty(rows, len(weight), dtype=dtype)

    def logits(
        self,
        part: slice,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        question: _Question,
        *,
        first: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Where one part's logits stand in the model's precision, from row `first`, and in at least float32."""
        hidden = hidden[part]
        narrow = self.narrow[first : first + len(hidden)]
        if bias is None:
            product_into(narrow, hidden, weight.T)
        else:
            torch.addmm(bias, hidden, weight.T, out=narrow)
        logits = narrow if self._wide is None else self._wide[: len(hidden)].copy_(narrow)
        if question.softcap is not None:
            _capped_(logits, question.softcap)
        if question.temperature != 1.0:
            logits.div_(question.temperature)
        if question.barred is not None:
            rows, ids = question.barred[0][part], question.barred[1]
            logits[rows.nonzero(), ids] = BARRED
        return narrow, logits


class _ChunkedLogprobs(torch.autograd.Function):
    """log p(id) and H(p) for p = softmax(z), z = (h W' + b) / temperature, restricted to the support where given.

    Backward, from z recomputed: d log p(i) / dz = onehot(i) - p and dH / dz = -p (log p + H). With a softcap c,
    z = c tanh((h W' + b) / c) / temperature, whose slope is 1 - (z temperature / c)^2.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, question: _Question
    ) -> tuple[Tensor, Tensor]:
        count = len(question.ids)
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        logprobs, totals = hidden.new_empty(count, dtype=dtype), hidden.new_empty(count, dtype=dtype)
        entropies = hidden.new_zeros(count if question.entropy else 0, dtype=dtype)
        room = _Room(hidden, weight, question.chunk)
        for part in question.parts():
            _, logits = room.logits(part, hidden, weight, bias, question)
            logprobs[part] = logits.gather(1, question.ids[part, None])[:, 0]
            if question.support is not None:
                logits = logits.gather(1, question.support[part])
            if question.entropy:
                totals[part] = logits.logsumexp(1)
                entropies[part] = totals[part] - (torch.softmax(logits, 1) * logits).sum(1)
            else:
                totals[part] = _logsumexp_(logits)
        ctx.save_for_backward(hidden, weight, bias, totals, entropies)
        ctx.question = question
        return logprobs - totals, entropies

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, totals, entropies = ctx.saved_tensors
        question: _Question = ctx.question
        found = _Gradients((hidden, weight, bias), question, ctx.needs_input_grad)
        for part in question.parts():
            narrow, logits = found.logits(part)
            slope = found.slope(logits)
            by_logits = _gradient_of_logits_(
                logits,
                totals[part],
                question.ids[part],
                None if question.support is None else question.support[part],
                by_logprobs=gradients[0][part],
                by_entropies=(gradients[1][part], entropies[part]) if question.entropy else None,
            )
            found.add(part, narrow, by_logits, slope)
        return *found.all(), None


class _WeightedLogprobs(torch.autograd.Function):
    """The sum of w log p(id), p = softmax(z). With e = exp(z - max z), its gradient by z is w (onehot(id) - e / sum e).

    Takes hidden states, the head's weights and its offsets, a question, w, and whether anything is to be learned.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        question, weights, learns = cast("tuple[_Question, Tensor, bool]", inputs[3:])
        found = _Gradients(inputs[:3], question, ctx.needs_input_grad if learns else (False,) * 3)
        total = weights.new_zeros(())
        for part in question.parts():
            narrow, logits = found.logits(part)
            slope, ids, by_logprobs = found.slope(logits), question.ids[part, None], weights[part, None]
            chosen, highest = logits.gather(1, ids), logits.amax(1, keepdim=True)
            sums = logits.sub_(highest).exp_().sum(1, keepdim=True)
            total += (by_logprobs * (chosen - highest - sums.log())).sum()
            if learns:
                by_logits = logits.mul_(-by_logprobs / sums).scatter_add_(1, ids, by_logprobs)
                found.add(part, narrow, by_logits, slope)
        ctx.save_for_backward(*found.all())
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale, found = gradients[0], ctx.saved_tensors
        if float(scale) != 1.0:
            found = [None if tensor is None else tensor * scale.to(tensor.dtype) for tensor in found]
        return *found, None, None, None


class _Gradients:
    """Those of hidden states, weights and offsets, gathered from part to part; None where they are not needed."""

    def __init__(
        self, inputs: tuple[Tensor, Tensor, Tensor | None], question: _Question, needed: Sequence[bool]
    ) -> None:
        self._inputs, self._question = inputs, question
        hidden, weight = inputs[:2]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        self._to_hidden, self._to_weight, self._to_bias = (
            torch.zeros_like(tensor, dtype=hidden.dtype if tensor is hidden else wide)
            if needs and tensor is not None
            else None
            for tensor, needs in zip(inputs, needed, strict=False)
        )
        # Adding a product to the weight's gradient costs more than the product where that is in half precision.
        self._room = _Room(hidden, weight, question.chunk, 1 if hidden.dtype == wide else HALF_TOGETHER)
        self._begun = 0

    def logits(self, part: slice) -> tuple[Tensor, Tensor]:
        """Where one part's logits stand in the model's precision and in at least float32."""
        return self._room.logits(part, *self._inputs, self._question, first=part.start - self._begun)

    def slope(self, logits: Tensor) -> Tensor | None:
        """How fast capped logits over the temperature rise with what was capped; 0 for those that are barred."""
        softcap = self._question.softcap
        if softcap is None:
            return None
        return 1.0 - (logits * (self._question.temperature / softcap)).clamp(-1.0, 1.0).square_()

    def add(self, part: slice, narrow: Tensor, by_logits: Tensor, slope: Tensor | None) -> None:
        """Takes in the gradient of one part's logits; `narrow` is where these stood."""
        hidden, weight, _ = self._inputs
        if self._question.temperature != 1.0:
            by_logits.div_(self._question.temperature)
        if slope is not None:
            by_logits.mul_(slope)
        narrow.copy_(by_logits)
        if self._to_hidden is not None:
            product_into(self._to_hidden[part], narrow, weight)
        if self._to_bias is not None:
            self._to_bias += by_logits.sum(0)
        count = part.stop - self._begun
        if count == len(self._room.narrow) or part.stop == len(hidden):
            if self._to_weight is not None:
                self._to_weight += product(self._room.narrow[:count].T, hidden[self._begun : part.stop])
            self._begun = part.stop

    def all(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """In the precision of what they are gradients of."""
        _, weight, bias = self._inputs
        return (
            self._to_hidden,
            None if self._to_weight is None else self._to_weight.to(weight.dtype),
            None if self._to_bias is None or bias is None else self._to_bias.to(bias.dtype),
        )


def _logsumexp_(logits: Tensor) -> Tensor:
    """Of each row, which is overwritten."""
    highest = logits.amax(1, keepdim=True)
    return logits.sub_(highest).exp_().sum(1).log_().add_(highest[:, 0])


def _gradient_of_logits_(
    logits: Tensor,
    totals: Tensor,
    ids: Tensor,
    support: Tensor | None,
    *,
    by_logprobs: Tensor,
    by_entropies: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """The gradient with respect to one part's logits, in their place.

    `by_logprobs` is the gradient of its log-probabilities, `by_entropies` that of its entropies and these themselves.
    """
    chosen = logits if support is None else logits.gather(1, support)
    log_p = chosen.sub_(totals[:, None])
    if by_entropies is None:
        result = log_p.exp_().mul_(-by_logprobs[:, None])
    else:
        p = log_p.exp()
        result = log_p.add_(by_entropies[1][:, None]).mul_(-by_entropies[0][:, None]).sub_(by_logprobs[:, None]).mul_(p)
    if support is not None:
        result = logits.zero_().scatter_(1, support, result)
    return result.scatter_add_(1, ids[:, None], by_logprobs[:, None])
