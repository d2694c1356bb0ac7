"""What goes from one stage of a step to the next: rollout -> experience -> training batch, and what an algorithm is.

Containers only. Dimensions: B responses, T response tokens; every (B, T) tensor is padded on the right, and
`response_mask` is True where a token counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.feedback import Sample
from spanwise.models import SHARE_BELOW, PromptBatch, ResponseBatch
from spanwise.rewards import TokenScores
from spanwise.rl.algorithms.advantages import Advantages
from spanwise.rl.algorithms.losses import LossOutputs


@dataclass(frozen=True)
class ModelInputs:
    """What a forward pass over responses reads, one row per response."""

    prompts: PromptBatch
    response_ids: Int[Tensor, "b t"]
    response_mask: Bool[Tensor, "b t"]
    support: Int[Tensor, "b t k"] | None = None

    @classmethod
    def of(cls, prompts: PromptBatch, responses: ResponseBatch) -> "ModelInputs":
        """The inputs that score `responses`; prompts are already repeated to one row per response."""
        return cls(prompts, responses.ids, responses.mask, responses.support)

    def __len__(self) -> int:
        return len(self.response_ids)

    def select(self, rows: Int[Tensor, " n"]) -> "ModelInputs":
        """The given rows, without the prompt columns that only the other rows needed; T stays."""
        support = None if self.support is None else self.support[rows]
        return ModelInputs(self.prompts.select(rows), self.response_ids[rows], self.response_mask[rows], support)

    def shorten(self, width: int) -> "ModelInputs":
        """The first `width` columns of the responses."""
        support = None if self.support is None else self.support[:, :width]
        return ModelInputs(self.prompts, self.response_ids[:, :width], self.response_mask[:, :width], support)

    def width(self) -> int:
        """Columns up to the last token that counts in any row."""
        used = self.response_mask.any(0).nonzero()
        return int(used.max()) + 1 if len(used) else 0

    def groups(self) -> Int[Tensor, " b"]:
        """A number for each row, the same for rows with the same prompt."""
        marked = self.prompts.ids.masked_fill(~self.prompts.mask, -1)
        return marked.unique(dim=0, return_inverse=True)[1]

    def dealt(self, rank: int, count: int) -> Int[Tensor, " n"] | None:
        """The rows of process `rank` of `count`, dealt out by length like cards; None = all rows of a process alone."""
        if count == 1:
            return None
        return self._order(self.prompts.lengths + self.response_mask.sum(1))[rank::count].sort().values

    def parts(self, size: int, tokens: int | None = None) -> Sequence[Int[Tensor, " n"]]:
        """Row numbers in groups of at most `size` rows and `tokens` tokens, padding included.

        Rows of like length are together, so that little padding is read, or rows with the same prompt, where that
        spares more; a longer row than `tokens` is by itself.
        """
        lengths = self.prompts.lengths + self.response_mask.sum(1)
        order = self._order(lengths)
        if tokens is None:
            return order.split(size)
        row_groups: list[list[int]] = [[]]
        widest = 0
        for row, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
            widest = max(widest, length)
            if row_groups[-1] and (len(row_groups[-1]) == size or (len(row_groups[-1]) + 1) * widest > tokens):
                row_groups.append([])
                widest = length
            row_groups[-1].append(row)
        return [torch.tensor(rows, device=order.device) for rows in row_groups]

    def _order(self, lengths: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """By length; by prompt first where reading every prompt once spares a good part of all tokens."""
        order = lengths.argsort(stable=True)
        groups, prompt_lengths = self.groups(), self.prompts.lengths
        read_once = torch.zeros_like(lengths).scatter_(0, groups, prompt_lengths).sum()
        if prompt_lengths.sum() - read_once < (1.0 - SHARE_BELOW) * lengths.sum():
            return order
        by_prompt = prompt_lengths * len(self) + groups
        return order[by_prompt[order].argsort(stable=True)]


@dataclass(frozen=True)
class Rollout:
    """Sampled responses and their scores. Row i of every part belongs to the same response."""

    prompts: PromptBatch
    """One row per response, so a prompt with several samples is repeated."""
    responses: ResponseBatch
    samples: Sequence[Sample]
    """What the reward sources saw."""
    tokens: Sequence[Sequence[str]]
    """The text of each sampled token; one that wrote nothing has its name if it is special, else no text."""
    scores: TokenScores


@dataclass(frozen=True)
class Experience:
    """What a rollout teaches before any update: the responses to learn from, with their rewards per token."""

    inputs: ModelInputs
    old_logprobs: Float[Tensor, "b t"]
    ref_logprobs: Float[Tensor, "b t"] | None
    """None, as `kl` is, where a KL coefficient of 0 leaves the reference out."""
    values: Float[Tensor, "b t"]
    kl: Float[Tensor, "b t"] | None
    token_scores: Float[Tensor, "b t"]
    """Rewards before the KL penalty."""
    token_rewards: Float[Tensor, "b t"]
    """Rewards after it: token_scores - kl_coef * kl."""
    sampling_weights: Float[Tensor, "b t"] | None = None
    """How much each token counts for the policy, where another engine sampled (rl/algorithms/correction.py)."""

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def response_mask(self) -> Bool[Tensor, "b t"]:
        """True where a response token counts."""
        return self.inputs.response_mask


@dataclass(frozen=True)
class TrainingBatch:
    """Responses with their advantages: all that losses need."""

    inputs: ModelInputs
    old_logprobs: Float[Tensor, "b t"]
    old_values: Float[Tensor, "b t"]
    advantages: Float[Tensor, "b t"]
    returns: Float[Tensor, "b t"]
    ref_logprobs: Float[Tensor, "b t"] | None = None
    weights: Float[Tensor, " b"] | None = None
    """What the policy's losses of each response are multiplied by; None = all by 1."""

    @classmethod
    def of(cls, experience: Experience, credit: Advantages) -> "TrainingBatch":
        """Joins experience and the advantages that an algorithm gave it."""
        weights = experience.sampling_weights
        return cls(
            experience.inputs,
            experience.old_logprobs,
            experience.values,
            # Every policy loss is linear in a positive factor of the advantage.
            credit.advantages if weights is None else credit.advantages * weights,
            credit.returns,
            experience.ref_logprobs,
        )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def response_mask(self) -> Bool[Tensor, "b t"]:
        """True where a response token counts."""
        return self.inputs.response_mask

    @property
    def tokens(self) -> int:
        """How many response tokens count."""
        return int(self.response_mask.sum())

    def select(self, rows: Int[Tensor, " n"]) -> "TrainingBatch":
        """The given responses, without the columns that only the other responses needed."""
        inputs = self.inputs.select(rows)
        width = inputs.width()

        def cut(x: Float[Tensor, "b t"]) -> Float[Tensor, "n u"]:
            return x[rows, :width]

        return TrainingBatch(
            inputs.shorten(width),
            cut(self.old_logprobs),
            cut(self.old_values),
            cut(self.advantages),
            cut(self.returns),
            None if self.ref_logprobs is None else cut(self.ref_logprobs),
            None if self.weights is None else self.weights[rows],
        )


@runtime_checkable
class Algorithm(Protocol):
    """Names an advantage and a loss; the trainer knows nothing else of it.

    Losses are given part of a minibatch and divide by `tokens`, the counting tokens of the whole minibatch.
    """

    def advantages(self, experience: Experience) -> Advantages:
        """Advantages and returns of all responses of a step."""
        ...

    def policy_loss(self, logprobs: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """The loss of the policy."""
        ...


@runtime_checkable
class LearnsValues(Protocol):
    """What an algorithm with a value model has besides; without it there is no value model in the run."""

    def value_loss(self, values: Float[Tensor, "b t"], batch: TrainingBatch, *, tokens: int) -> LossOutputs:
        """The loss of the value model."""
        ...
