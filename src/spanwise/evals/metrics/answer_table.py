"""`spanwise evaluate`: answers from files or of policies to the same prompts, turned into `ExperimentResults`.

It knows nothing of the command line; which reward models score the answers is the caller's to say.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from spanwise.core import write_jsonl
from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.metrics.policies import answered_arms
from spanwise.evals.metrics.responses import ResponseRecord, load_prompts, load_responses
from spanwise.evals.metrics.rouge import TEXT_METRICS, AnswerText, reward_info, reward_scores, text_scores
from spanwise.evals.rivals import AnsweredArm, Track, unwatched
from spanwise.evals.statistics import (
    Arm,
    Estimate,
    Example,
    ExampleAnswer,
    ExperimentResults,
    MetricInfo,
    ScoreTable,
    arm_estimates,
    compare_arms,
)
from spanwise.feedback import PromptRecord, RewardSource, Sample
from spanwise.models import Answer

MAX_EXAMPLES = 20
ANSWERS = "answers"
"""The folder of what policies answered, beside results.json."""


class ModelMetric(Protocol):
    """What a model measures on answers: metrics by name, and their tables for answers and their prompts."""

    @property
    def infos(self) -> Mapping[str, MetricInfo]:
        """What the metrics are called."""
        ...

    def tables(self, answers: Sequence[AnswerText], prompts: Sequence[PromptRecord]) -> dict[str, ScoreTable]:
        """One table per metric."""
        ...


def evaluate(
    config: EvaluateConfig,
    sources: Sequence[RewardSource] = (),
    *,
    models: Sequence[ModelMetric] = (),
    command: str = "",
    track: Track = unwatched,
    say: Callable[[str], None] = lambda _: None,
) -> ExperimentResults:
    """Measures the answers and the paired differences; writes results.json and what policies answered if told to.

    Answers come from files, or from policies, which `track` shows and `say` names while they answer.
    """
    prompts = load_prompts(config.prompts)
    answered = _from_files(config, prompts)
    trained, rivals = answered_arms(config, sources, track=track, say=say)
    for one in (*rivals, *trained):
        answered[one.name] = (one.arm, [_record(answer) for answer in one.answers])
    tables = {name: _tables(prompts, records, sources, models) for name, (_, records) in answered.items()}
    infos = TEXT_METRICS | {f"reward/{source.name}": reward_info(source) for source in sources}
    infos |= {name: info for model in models for name, info in model.infos.items()}
    metrics = {name: info for name, info in infos.items() if any(name in value for value in tables.values())}
    free = tuple(one.name for one in rivals)
    held = {name: () if name in free else free for name in answered if name != "baseline"}
    results = ExperimentResults(
        title=f"Answers of {config.policy or (config.responses and config.responses.name)}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        config=config.model_dump(mode="json"),
        metrics=metrics,
        arms={
            name: arm.model_copy(
                update={"metrics": _estimates(config, name, tables[name]), "rivals": held.get(name, ())}
            )
            for name, (arm, _) in answered.items()
        },
        comparisons=compare_arms(
            tables, metrics, _pairs(list(answered), trained, rivals), rivals=held, seed=config.seed,
            resamples=config.resamples, level=config.confidence_level,
        ),
        examples=_examples(prompts, {name: records for name, (_, records) in answered.items()}),
    )  # fmt: skip
    if config.output is not None:
        for one in (*rivals, *trained):
            write_jsonl(config.output / ANSWERS / f"{one.name}.jsonl", (a.model_dump() for a in one.answers))
        results.save(config.output)
    return results


def _from_files(
    config: EvaluateConfig, prompts: Mapping[str, PromptRecord]
) -> dict[str, tuple[Arm, Sequence[ResponseRecord]]]:
    files = {"baseline": config.baseline, "responses": config.responses}
    return {
        name: (Arm(label=f"{name} ({path})"), load_responses(path, prompts, config.prompts))
        for name, path in files.items()
        if path is not None
    }


def _record(answer: Answer) -> ResponseRecord:
    values = {"id": answer.id, "response": answer.response, "truncated": answer.truncated, "tokens": answer.tokens}
    return ResponseRecord.model_validate(values)


def _estimates(config: EvaluateConfig, name: str, tables: Mapping[str, ScoreTable]) -> dict[str, Estimate]:
    return arm_estimates(tables, arm=name, seed=config.seed, resamples=config.resamples, level=config.confidence_level)


def _pairs(
    names: Sequence[str], trained: Sequence[AnsweredArm], rivals: Sequence[AnsweredArm]
) -> list[tuple[str, str]]:
    """Policy against baseline greedily, then as both sample, then what came from files."""
    pairs = [(arm.name, rival.name) for arm, rival in zip(trained, rivals, strict=False)]
    against = (["baseline"] if "baseline" in names else []) + [rival.name for rival in rivals[:1]]
    first = [arm.name for arm in trained[:1]] + (["responses"] if "responses" in names else [])
    return list(dict.fromkeys(pairs + [(arm, other) for arm in first for other in against]))


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
    samples = [Sample.of(prompts[one.prompt_id], one.response, truncated=bool(one.truncated)) for one in ordered]
    ids = [one.prompt_id for one in ordered]
    tables = text_scores(answers) | reward_scores(sources, ids, samples)
    for model in models:
        tables |= model.tables(answers, [prompts[one.prompt_id] for one in ordered])
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
