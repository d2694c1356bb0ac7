"""Log-probabilities and entropies of given tokens from hidden states, without the logits of a whole batch.

The vocabulary head is applied to a few tokens at a time and again in the backward pass, so that memory grows with the
number of tokens but never with tokens x vocabulary. The arithmetic after the head is float32 whatever the model's
precision. Knows nothing of prompts or batches. Shapes: n tokens, h hidden, v vocabulary, k support.
"""

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
    weight, bias, hidden = head.weight, head.bias, _times(hidden, head.scale)
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    size = chunk or max(1, CHUNK_ELEMENTS // weight.shape[0])
    question = _Question(ids, support, temperature, entropy, size, head.softcap, barred)
    logprobs, entropies = _ChunkedLogprobs.apply(hidden, weight, bias, question)
    return logprobs, entropies if entropy else None


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
        wide = torch.promote_types(hidden.dtype, torch.float32)
        to_hidden, to_weight, to_bias = (
            torch.zeros_like(tensor, dtype=tensor.dtype if tensor is hidden else wide) if needed else None
            for tensor, needed in zip((hidden, weight, bias), ctx.needs_input_grad[:3], strict=True)
        )
        # Adding a product to the weight's gradient costs more than the product where that is in half precision.
        together = 1 if hidden.dtype == wide else HALF_TOGETHER
        room = _Room(hidden, weight, question.chunk, together)
        begun = 0
        for part in question.parts():
            narrow, logits = room.logits(part, hidden, weight, bias, question, first=part.start - begun)
            slope = None if question.softcap is None else _slope(logits, question.softcap, question.temperature)
            by_logits = _gradient_of_logits_(
                logits,
                totals[part],
                question.ids[part],
                None if question.support is None else question.support[part],
                by_logprobs=gradients[0][part],
                by_entropies=(gradients[1][part], entropies[part]) if question.entropy else None,
            )
            if question.temperature != 1.0:
                by_logits.div_(question.temperature)
            if slope is not None:
                by_logits.mul_(slope)
            narrow.copy_(by_logits)
            if to_hidden is not None:
                product_into(to_hidden[part], narrow, weight)
            if to_bias is not None:
                to_bias += by_logits.sum(0)
            if part.stop - begun == len(room.narrow) or part.stop == len(hidden):
                if to_weight is not None:
                    to_weight += product(room.narrow[: part.stop - begun].T, hidden[begun : part.stop])
                begun = part.stop
        return (
            to_hidden,
            None if to_weight is None else to_weight.to(weight.dtype),
            None if to_bias is None else to_bias.to(bias.dtype),
            None,
        )


def _slope(logits: Tensor, softcap: float, temperature: float) -> Tensor:
    """How fast capped logits over the temperature rise with what was capped; 0 for those that are barred."""
    return 1.0 - (logits * (temperature / softcap)).clamp(-1.0, 1.0).square_()


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
