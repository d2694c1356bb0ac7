"""The logged figures of a step, from the containers that hold them; `docs/reference/algorithms.md` has the formulas.

Means over responses leave out dropped ones; with nothing left they are NaN, which the run folder writes as null.
"""

from collections import Counter

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.rl.algorithms import Experience, Rollout, TrainingBatch, masked_mean, masked_variance
from spanwise.text import split_words

RESERVED_NAMES = ("total", "dropped", "after_kl")
"""Keys under `reward/` that are not sources; no source may be named so."""


def reward_metrics(rollout: Rollout) -> dict[str, float]:
    """Mean reward per response: in all, and each source's share of it; how many responses a source could not score."""
    scores = rollout.scores
    kept = ~scores.dropped
    shares = {f"reward/{name}": _mean(share[kept].sum(1)) for name, share in scores.shares.items()}
    missing = Counter(name for raw in scores.raw for name, said in raw.items() if said.missing is not None)
    unscored = {f"unscored/{name}": number / len(scores.raw) for name, number in missing.items()}
    dropped = {"reward/dropped": _mean(scores.dropped.float())}
    return {"reward/total": _mean(scores.total[kept].sum(1)), **shares, **dropped, **unscored}


def response_metrics(rollout: Rollout) -> dict[str, float]:
    """What the responses look like, dropped ones included."""
    responses = rollout.responses
    return {
        "response/length": _mean(responses.lengths.float()),
        "response/truncated": _mean(responses.truncated.float()),
        "response/empty": _mean(torch.tensor([not sample.response for sample in rollout.samples]).float()),
        "response/repetition": _mean(torch.tensor([_repeated(sample.response) for sample in rollout.samples])),
    }


def experience_metrics(experience: Experience, *, kl_coef: float) -> dict[str, float]:
    """KL, where it was measured, and reward after it."""
    mask, kl = experience.response_mask, experience.kl
    of_kl = {} if kl is None else {"kl/response": _mean(kl.sum(1)), "kl/token": float(masked_mean(kl, mask))}
    return {
        "response/entropy": -float(masked_mean(experience.old_logprobs, mask)),
        **of_kl,
        "kl/coef": kl_coef,
        "reward/after_kl": _mean(experience.token_rewards.sum(1)),
    }


def value_metrics(batch: TrainingBatch) -> dict[str, float]:
    """How well the value model knew the returns before the updates."""
    mask = batch.response_mask
    left = masked_variance(batch.returns - batch.old_values, mask)
    return {
        "value/mean": float(masked_mean(batch.old_values, mask)),
        "value/return": float(masked_mean(batch.returns, mask)),
        "value/explained_variance": float(1.0 - left / masked_variance(batch.returns, mask)),
    }


def _repeated(text: str, n: int = 4) -> float:
    """Share of the word n-grams of `text` that stood in it before; 0 for a text too short to have one."""
    words = split_words(text)
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def _mean(x: Float[Tensor, " b"]) -> float:
    return float(x.mean())
