"""Sample answers of every arm for the report: their token rewards, and what the oracle marks in them."""

from collections.abc import Mapping, Sequence

from spanwise.core import torch_generator
from spanwise.evals.statistics import Example, ExampleAnswer, ExampleSpan
from spanwise.models import Policy, Sampling
from spanwise.rewards import RewardPipeline
from spanwise.rl import RolloutMaker
from spanwise.rl.algorithms import Rollout
from spanwise.sim import SimItem, judge


def make_examples(
    policies: Mapping[str, Policy],
    items: Sequence[SimItem],
    pipeline: RewardPipeline,
    *,
    sampling: Sampling,
    seed: int,
) -> list[Example]:
    """One example per item with each arm's sampled answer, scored by `pipeline` and judged by the oracle."""
    records = [item.record for item in items]
    answers: dict[str, list[ExampleAnswer]] = {}
    for arm, policy in policies.items():
        maker = RolloutMaker(policy, pipeline, max_prompt_tokens=policy.window or 10_000)
        generator = torch_generator(seed, "sim/examples")
        rollout = maker.sample(records, sampling=sampling, samples_per_prompt=1, generator=generator)
        answers[arm] = [_answer(rollout, row, item) for row, item in enumerate(items)]
    return [
        Example(
            prompt=record.prompt,
            passages=record.passages,
            answers={arm: found[row] for arm, found in answers.items()},
        )
        for row, record in enumerate(records)
    ]


def _answer(rollout: Rollout, row: int, item: SimItem) -> ExampleAnswer:
    sample, tokens = rollout.samples[row], tuple(rollout.tokens[row])
    judgement = judge(sample.response, item.truth, truncated=sample.truncated)
    return ExampleAnswer(
        response=sample.response,
        tokens=tokens,
        token_scores=tuple(rollout.scores.total[row, : len(tokens)].tolist()),
        shares={name: tuple(share[row, : len(tokens)].tolist()) for name, share in rollout.scores.shares.items()},
        spans=tuple(
            ExampleSpan(start=finding.span.start, end=finding.span.end, category=finding.label)
            for finding in judgement.errors
        ),
        missing=judgement.missing,
        truncated=sample.truncated,
    )
