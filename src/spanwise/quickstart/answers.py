"""The simulated world as a task: its data, and what the oracle says of an arm's answers.

Knows nothing of how arms are trained (`study.py`). The oracle judges and never teaches: what training sees is
demonstrations of a writer with habits and feedback of a noisy annotator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from spanwise.core import numpy_generator, torch_generator
from spanwise.evals.statistics import Example, ExampleAnswer, ExampleSpan, MetricInfo, ScoreTable
from spanwise.feedback import DemonstrationRecord, FeedbackRecord
from spanwise.models import Policy, Sampling
from spanwise.rewards import RewardPipeline
from spanwise.rl import RolloutMaker
from spanwise.rl.algorithms import Rollout
from spanwise.sim import (
    FACT_ERRORS,
    HABITS,
    RELEVANCE_ERRORS,
    NoiseConfig,
    SimItem,
    annotate,
    judge,
    make_items,
    write_demonstration,
)
from spanwise.text import normalize_newlines

SIM_METRICS: dict[str, MetricInfo] = {
    "relevance_error": MetricInfo(
        label="Irrelevance", unit="%", better="lower",
        description="Clauses that nobody asked for, that repeat, or that say nothing, of all clauses.",
    ),
    "fact_error": MetricInfo(
        label="Factual errors", unit="%", better="lower",
        description="Wrong or unverifiable clauses, of all clauses whose facts are checked.",
    ),
    "completeness": MetricInfo(
        label="Completeness", unit="%", better="higher",
        description="Parts of the question that the answer addresses, of all that the passages can answer.",
    ),
    "quality": MetricInfo(
        label="True score", better="higher", digits=2,
        description="Per answer: +1 for a right clause, -1 for any other and for each missing fact.",
    ),
    "words": MetricInfo(label="Length", unit="words", digits=1, description="Words per answer."),
    "kl": MetricInfo(
        label="KL to SFT", unit="nats", digits=2,
        description="Summed over the answer, the log-probability under the arm less that under the SFT policy.",
    ),
}  # fmt: skip
"""All metrics of the task in the order of the tables."""


@dataclass(frozen=True)
class Answers:
    """One arm's answers to held-out items, item by item and to each as many, with their KL to the reference (nats)."""

    texts: tuple[str, ...]
    truncated: tuple[bool, ...]
    kl: tuple[float, ...] = ()
    """Empty where the answers were drawn otherwise than the reference's would be: the two do not compare."""

    def of(self, items: Sequence[SimItem]) -> list[SimItem]:
        """The item of each answer."""
        return [item for item in items for _ in range(len(self.texts) // len(items))]

    def taken(self, places: Sequence[int]) -> "Answers":
        """The answers at these places, as many of each item; without KL, since they are no longer draws."""
        return Answers(tuple(self.texts[p] for p in places), tuple(self.truncated[p] for p in places))


def make_demonstrations(count: int, *, seed: int, split: str) -> list[DemonstrationRecord]:
    """Imperfect demonstrations for supervised fine-tuning: those of the writer with habits."""
    generator = numpy_generator(seed, f"sim/writer/{split}")
    items = make_items(count, seed=seed, split=split)
    return [write_demonstration(item, generator, HABITS) for item in items]


@torch.no_grad()
def sample_texts(
    policy: Policy, items: Sequence[SimItem], *, sampling: Sampling, samples: int, seed: int, batch: int = 64
) -> list[list[tuple[str, bool]]]:
    """`samples` answers to each item, each with whether it was cut off."""
    generator = torch_generator(seed, "sim/texts")
    rows: list[list[tuple[str, bool]]] = []
    for start in range(0, len(items), batch):
        prompts = policy.encode_prompts([item.record.model_input for item in items[start : start + batch]])
        answers = policy.generate(prompts, sampling=sampling, samples_per_prompt=samples, generator=generator)
        pairs = [
            (_storable(policy.decode(ids)), cut)
            for ids, cut in zip(answers.token_lists(), answers.truncated.tolist(), strict=True)
        ]
        rows += [pairs[first : first + samples] for first in range(0, len(pairs), samples)]
    return rows


def collect_feedback(
    policy: Policy, items: Sequence[SimItem], *, samples: int, sampling: Sampling, noise: NoiseConfig, seed: int
) -> list[FeedbackRecord]:
    """The policy's own answers, each marked by the noisy annotator and compared with the others of its prompt."""
    generator = numpy_generator(seed, "sim/annotator")
    records: list[FeedbackRecord] = []
    answers = sample_texts(policy, items, sampling=sampling, samples=samples, seed=seed)
    for item, row in zip(items, answers, strict=True):
        texts, cuts = [text for text, _ in row], [cut for _, cut in row]
        records.append(annotate(item, texts, generator, noise, truncated=cuts))
    return records


@torch.no_grad()
def answer_items(
    policy: Policy,
    reference: Policy | None,
    items: Sequence[SimItem],
    *,
    sampling: Sampling,
    seed: int,
    samples: int = 1,
    top_p: float = 1.0,
    batch: int = 64,
    greedy: bool = False,
) -> Answers:
    """`samples` answers per item, or with `greedy` the likeliest, with the summed log-ratio to `reference`.

    The log-ratio is that under `sampling`; without `reference`, or greedily, there is none.
    """
    generator = torch_generator(seed, "sim/test")
    texts: list[str] = []
    cut: list[bool] = []
    kl: list[float] = []
    for start in range(0, len(items), batch):
        prompts = policy.encode_prompts([item.record.model_input for item in items[start : start + batch]])
        if greedy:
            answers = policy.greedy(prompts, sampling.max_new_tokens)
        else:
            answers = policy.generate(
                prompts, sampling=sampling, samples_per_prompt=samples, generator=generator, top_p=top_p
            )
        if reference is not None and not greedy:
            asked = prompts.repeat(samples)
            ref = reference.logprobs(asked, answers.ids, answers.mask, sampling=sampling, support=answers.support)
            kl += ((answers.logprobs - ref.logprobs) * answers.mask).sum(1).tolist()
        texts += [_storable(policy.decode(ids)) for ids in answers.token_lists()]
        cut += answers.truncated.tolist()
    return Answers(tuple(texts), tuple(cut), tuple(kl))


def score_answers(items: Sequence[SimItem], answers: Answers, *, seed: int) -> dict[str, ScoreTable]:
    """One table per metric of `SIM_METRICS`; error shares are averaged over clauses, not over answers.

    Several answers to an item count as their mean. Answers without a log-ratio have no table of it.
    """
    asked = answers.of(items)
    cases = zip(asked, answers.texts, answers.truncated, strict=True)
    judgements = [judge(text, item.truth, truncated=cut) for item, text, cut in cases]
    ratios: dict[str, list[tuple[float, float]]] = {
        "relevance_error": [(j.count(*RELEVANCE_ERRORS), len(j.findings)) for j in judgements],
        "fact_error": [(j.count(*FACT_ERRORS), j.count(*FACT_ERRORS, "correct")) for j in judgements],
        "completeness": [(j.answerable - len(j.missing), j.answerable) for j in judgements],
        "quality": [(j.quality, 1) for j in judgements],
        "words": [(len(text.split()), 1) for text in answers.texts],
    }
    if answers.kl:
        ratios["kl"] = [(value, 1) for value in answers.kl]
    tables: dict[str, ScoreTable] = {}
    for metric, values in ratios.items():
        samples: dict[str, list[tuple[float, float]]] = {item.record.id: [] for item in items}
        for item, value in zip(asked, values, strict=True):
            samples[item.record.id].append(value)
        tables[metric] = ScoreTable.from_samples(samples, seed=seed)
    return tables


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


def _storable(text: str) -> str:
    """A byte-level policy can emit any character; records hold neither carriage returns nor NUL."""
    return normalize_newlines(text).replace("\0", "\ufffd")
