"""Token rewards of whole conversations: what each of the assistant's turns earns, on the tokens that it wrote.

For engines that train on several turns at once. Turns of the user, of tools and of the system, and what the template
writes around turns, are never rewarded. Knows nothing of where scores come from.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.core import DataError
from spanwise.feedback import PromptRecord, turn_samples
from spanwise.models import Policy
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text import TokenAligner


@dataclass(frozen=True)
class ConversationRewards:
    """A conversation in tokens, up to the end of the assistant's last turn."""

    ids: Int[Tensor, " t"]
    """As the chat template writes them."""
    mask: Bool[Tensor, " t"]
    """True = the assistant wrote the token, the end of its turn included."""
    rewards: Float[Tensor, " t"]
    """Before KL; 0 where the mask is False."""


def conversation_rewards(
    policy: Policy, pipeline: RewardPipeline, conversation: PromptRecord, answer: str
) -> ConversationRewards:
    """Scores every turn of the assistant that says something, `answer` being the last, in the turns before it.

    Raises DataError where the template writes earlier turns otherwise than they were sampled (without their thinking,
    for example): such turns are scored one by one.
    """
    ids = policy.encode_prompt(conversation) + policy.encode_response(answer)
    mask = torch.zeros(len(ids), dtype=torch.bool)
    rewards = torch.zeros(len(ids))
    aligner = TokenAligner(policy.tokenizer)
    for sample in turn_samples(conversation, answer):
        start = len(policy.encode_prompt(sample))
        written = policy.encode_response(sample.response)
        if ids[start : start + len(written)] != written:
            raise DataError(
                f"The chat template writes the turn {sample.response!r:.60} otherwise when turns follow it; score the "
                "turns one by one."
            )
        read = aligner.align(written).stripped()
        scored = pipeline([replace(sample, response=read.text)], [read.spans])
        mask[start : start + len(written)] = True
        rewards[start : start + len(written)] = scored.total[0]
    return ConversationRewards(torch.tensor(ids), mask, rewards)
