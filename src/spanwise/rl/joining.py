"""One rollout from the parts that several processes sampled and scored. Knows nothing of how either is done."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from spanwise.models.batches import PromptBatch, ResponseBatch, join_prompts, join_responses
from spanwise.rewards.pipeline import TokenScores
from spanwise.rl.types import Rollout


def moved(rollout: Rollout, device: torch.device | str) -> Rollout:
    """The same rollout with the policy's tensors on `device`; scores stay where they are."""
    responses = rollout.responses
    support = None if responses.support is None else responses.support.to(device)
    there = ResponseBatch(
        responses.ids.to(device),
        responses.mask.to(device),
        responses.logprobs.to(device),
        responses.truncated.to(device),
        support,
    )
    return Rollout(rollout.prompts.to(device), there, rollout.samples, rollout.tokens, rollout.scores)


def joined(parts: list[Rollout], *, pad_id: int, prompt_side: Literal["left", "right"]) -> Rollout:
    """All responses of `parts`, in their order."""
    prompts: list[PromptBatch] = [part.prompts for part in parts]
    return Rollout(
        prompts=join_prompts(prompts, pad_id=pad_id, side=prompt_side),
        responses=join_responses([part.responses for part in parts], pad_id=pad_id),
        samples=[sample for part in parts for sample in part.samples],
        tokens=[tokens for part in parts for tokens in part.tokens],
        scores=_joined_scores([part.scores for part in parts]),
    )


def _joined_scores(parts: list[TokenScores]) -> TokenScores:
    return TokenScores(
        total=_stacked([part.total for part in parts]),
        shares={name: _stacked([part.shares[name] for part in parts]) for name in parts[0].shares},
        raw=[raw for part in parts for raw in part.raw],
        dropped=torch.cat([part.dropped for part in parts]),
    )


def _stacked(parts: list[Tensor]) -> Float[Tensor, "b t"]:
    """The rows of all parts, with zero columns up to the widest."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([functional.pad(part, (0, width - part.shape[1])) for part in parts])
