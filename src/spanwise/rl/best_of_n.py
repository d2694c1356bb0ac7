"""Best of n: of several responses to a prompt, the one with the highest reward. Needs no training at all."""

import torch

from spanwise.models.batches import ResponseBatch
from spanwise.rewards.pipeline import TokenScores
from spanwise.rl.types import Rollout


def best_of(rollout: Rollout, samples_per_prompt: int) -> Rollout:
    """For each prompt the response with the highest total reward, the first where several have it.

    Responses that could not be scored are chosen only where no other is left.
    """
    totals = rollout.scores.total.sum(1).masked_fill(rollout.scores.dropped, -torch.inf)
    chosen = totals.view(-1, samples_per_prompt).argmax(1)
    return _rows(rollout, (chosen + torch.arange(len(chosen)) * samples_per_prompt).tolist())


def _rows(rollout: Rollout, rows: list[int]) -> Rollout:
    responses, scores = rollout.responses, rollout.scores
    picked = torch.tensor(rows)
    return Rollout(
        prompts=rollout.prompts.select(picked),
        responses=ResponseBatch(
            responses.ids[picked],
            responses.mask[picked],
            responses.logprobs[picked],
            responses.truncated[picked],
            None if responses.support is None else responses.support[picked],
        ),
        samples=[rollout.samples[row] for row in rows],
        tokens=[rollout.tokens[row] for row in rows],
        scores=TokenScores(
            total=scores.total[picked],
            shares={name: share[picked] for name, share in scores.shares.items()},
            raw=[scores.raw[row] for row in rows],
            dropped=scores.dropped[picked],
        ),
    )
