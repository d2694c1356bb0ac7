"""`spanwise evaluate`: responses of one model, or of two on the same prompts, turned into `ExperimentResults`.

It knows nothing of the command line; which reward models score the answers is the caller's to say.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.metrics.responses import ResponseRecord, load_prompts, load_responses
from spanwise.evals.metrics.rouge import TEXT_METRICS, AnswerText, reward_info, reward_scores, text_scores
from spanwise.evals.statistics import (
    Arm,
    ArmTables,
    Comparison,
    Example,
    ExampleAnswer,
    ExperimentResults,
    MetricInfo,
    ScoreTable,
    arm_estimates,
    compare_arms,
)
from spanwise.feedback import PromptRecord, RewardSource, Sample

MAX_EXAMPLES = 20


class ModelMetric(Protocol):
    """What a model measures on answers: metrics by name, and their tables for answers and what the policy read."""

    @property
    def infos(self) -> Mapping[str, MetricInfo]:
        """What the metrics are called."""
        ...

    def tables(self, answers: Sequence[AnswerText], inputs: Sequence[str]) -> dict[str, ScoreTable]:
        """One table per metric."""
        ...


def evaluate(
    config: EvaluateConfig,
    sources: Sequence[RewardSource] = (),
    *,
    models: Sequence[ModelMetric] = (),
    command: str = "",
) -> ExperimentResults:
    """Measures the responses, and with a baseline the paired differences; writes results.json if told to."""
    prompts = load_prompts(config.prompts)
    files = {"baseline": config.baseline, "responses": config.responses}
    responses = {arm: load_responses(path, prompts, config.prompts) for arm, path in files.items() if path is not None}
    tables = {arm: _tables(prompts, value, sources, models) for arm, value in responses.items()}
    infos = TEXT_METRICS | {f"reward/{source.name}": reward_info(source) for source in sources}
    infos |= {name: info for model in models for name, info in model.infos.items()}
    metrics = {name: info for name, info in infos.items() if any(name in value for value in tables.values())}
    results = ExperimentResults(
        title=f"Answers of {config.responses.name}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        config=config.model_dump(mode="json"),
        metrics=metrics,
        arms={arm: _arm(config, arm, value) for arm, value in tables.items()},
        comparisons=_comparisons(config, tables, metrics),
        examples=_examples(prompts, responses),
    )
    if config.output is not None:
        results.save(config.output)
    return results


def _arm(config: EvaluateConfig, name: str, tables: Mapping[str, ScoreTable]) -> Arm:
    path = config.responses if name == "responses" else config.baseline
    estimates = arm_estimates(
        tables, arm=name, seed=config.seed, resamples=config.resamples, level=config.confidence_level
    )
    return Arm(label=f"{name} ({path})", metrics=estimates)


def _comparisons(
    config: EvaluateConfig, tables: ArmTables, metrics: Mapping[str, MetricInfo]
) -> tuple[Comparison, ...]:
    pairs = [("responses", "baseline")] if config.baseline is not None else []
    return compare_arms(
        tables, metrics, pairs, seed=config.seed, resamples=config.resamples, level=config.confidence_level
    )


def _tables(
    prompts: Mapping[str, PromptRecord],
    responses: Sequence[ResponseRecord],
    sources: Sequence[RewardSource],
    models: Sequence[ModelMetric],
) -> dict[str, ScoreTable]:
    """Score tables in the order of the prompts, whatever the order of the responses."""
    position = {key: number for number, key in enumerate(prompts)}
    ordered = sorted(responses, key=lambda record: position[record.prompt_id])
    answers = [
        AnswerText(one.prompt_id, one.response, prompts[one.prompt_id].references, one.truncated, one.tokens)
        for one in ordered
    ]
    samples = [
        Sample(
            prompts[one.prompt_id].prompt, one.response, prompts[one.prompt_id].passages, truncated=bool(one.truncated)
        )
        for one in ordered
    ]
    ids = [one.prompt_id for one in ordered]
    tables = text_scores(answers) | reward_scores(sources, ids, samples)
    for model in models:
        tables |= model.tables(answers, [prompts[one.prompt_id].model_input for one in ordered])
    return tables


def _examples(
    prompts: Mapping[str, PromptRecord], responses: Mapping[str, Sequence[ResponseRecord]]
) -> tuple[Example, ...]:
    """The first prompts with the first answer of each arm, for the report."""
    first = {
        arm: {response.prompt_id: response for response in reversed(by_prompt)} for arm, by_prompt in responses.items()
    }
    return tuple(
        Example(
            prompt=record.prompt,
            passages=record.passages,
            references=record.references,
            answers={arm: _example_answer(by_prompt[key]) for arm, by_prompt in first.items()},
        )
        for key, record in list(prompts.items())[:MAX_EXAMPLES]
    )


def _example_answer(record: ResponseRecord) -> ExampleAnswer:
    return ExampleAnswer(response=record.response, truncated=bool(record.truncated))
