"""Unreliable annotators: what soft labels of Dawid and Skene's model teach a reward model, against majority vote.

The same answers of the SFT policy are marked by a pool of noisy annotators, some of whom mark by chance; each answer by
a few of them. Majority vote, the plain share of votes and Dawid-Skene make labels of the same votes, a linear head
learns them, and it is judged on exact labels of other answers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from pydantic import Field
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from experiments.annotators.page import annotators_page
from experiments.annotators.results import Condition, Outcome
from experiments.lib.study import PagedStudy, Say
from spanwise.core import Config, numpy_generator, write_json
from spanwise.feedback import FeedbackRecord
from spanwise.feedback.crowds import CrowdMethod, weigh_annotators
from spanwise.models import Policy, Sampling
from spanwise.quickstart import sample_texts
from spanwise.reward_models import FittingConfig, RewardModelConfig
from spanwise.reward_models.config import SpanRule
from spanwise.reward_models.data import RecordLabels, by_length, label_records, make_examples
from spanwise.reward_models.fitting import (
    HeadInputs,
    fit_by_cross_validation,
    logits_of,
    read_inputs,
    train_reward_model,
)
from spanwise.reward_models.network import encoder_of, load_backbone, pad_id_of
from spanwise.sim import (
    EXACT,
    FACT_ERRORS,
    RELEVANCE_ERRORS,
    NoiseConfig,
    SimItem,
    annotate,
    base_checkpoint,
    make_items,
    policy_checkpoint,
)

HEAD = "error"
RULE = SpanRule(density="sub-sentence", categories=(*RELEVANCE_ERRORS, *FACT_ERRORS))
METHODS: tuple[CrowdMethod, ...] = ("majority", "share", "dawid-skene")
CHANCE = NoiseConfig(miss=0.5, false_alarm=0.5, wrong_category=0.8, label_flip=0.5)
CONDITIONS = (
    Condition(overlap=3),
    Condition(overlap=3, chance=3),
    Condition(overlap=5),
    Condition(overlap=5, chance=3),
    Condition(overlap=10),
    Condition(overlap=10, chance=3),
    Condition(overlap=5, chance=5),
    Condition(overlap=3, noise=2.0),
    Condition(overlap=3, noise=2.0, chance=3),
    Condition(pool=5, overlap=3),
    Condition(pool=5, overlap=3, chance=2),
)
"""Noise, people and overlap; each with people at chance and without, so that what they cost can be told."""


class AnnotatorsConfig(Config):
    """Sizes of the study."""

    marked_prompts: int = Field(default=150, ge=4)
    """Prompts whose answers are marked."""
    answers: int = Field(default=2, ge=1)
    """Answers to each."""
    test_prompts: int = Field(default=150, ge=4)
    """Prompts whose answers judge the heads, one each."""
    fitting: FittingConfig = FittingConfig(method="linear", strengths=(0.01, 0.1), state_scales=(0.1,))
    """How the heads are fitted."""


class Annotators(PagedStudy[AnnotatorsConfig, dict[int, list[Outcome]]]):
    """One file of outcomes a seed."""

    rows = "outcomes"
    name = "annotators"
    threads = 1

    @classmethod
    def defaults(cls) -> AnnotatorsConfig:
        """300 answers."""
        return AnnotatorsConfig()

    @classmethod
    def tiny(cls) -> AnnotatorsConfig:
        """A few answers."""
        return AnnotatorsConfig(marked_prompts=12, answers=1, test_prompts=10)

    def run_seed(self, seed: int, say: Say) -> None:
        """Marks, weighs, fits and judges under every condition."""
        with threadpool_limits(1):
            bench = Bench(self.settings, seed)
            say("answers and features are read")
            outcomes: list[Outcome] = []
            for condition in CONDITIONS:
                outcomes += bench.outcomes(condition)
                say(str(condition))
        write_json(self.file(seed), [outcome.model_dump() for outcome in outcomes])

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[int, list[Outcome]]:  # noqa: ARG002
        """The outcomes of all seeds."""
        read = {seed: json.loads(self.file(seed).read_text()) for seed in seeds}
        return {seed: [Outcome.model_validate(row) for row in rows] for seed, rows in read.items()}

    def page(self, result: dict[int, list[Outcome]], command: str) -> str:
        """The page in Markdown."""
        return annotators_page(result, command)


class Bench:
    """Answers of one seed, read once: only labels differ between conditions."""

    def __init__(self, settings: AnnotatorsConfig, seed: int) -> None:
        self.seed = seed
        self._said: dict[tuple[str, NoiseConfig], list[FeedbackRecord]] = {}
        policy = Policy.load(str(policy_checkpoint()))
        self.items = make_items(settings.marked_prompts, seed=seed, split="feedback")
        self.texts = _texts(policy, self.items, settings.answers, seed)
        test = make_items(settings.test_prompts, seed=seed, split="test")
        exact = self.records("exact", EXACT)
        self.config = RewardModelConfig(
            heads=(HEAD,), custom={HEAD: RULE}, fitting=settings.fitting, features=True, device="cpu", seed=seed
        )
        run = train_reward_model(self.config, exact, backbone=load_backbone(str(base_checkpoint())))
        (self.head,) = run.model.config.head_specs
        encoder, pad_id, size = (
            encoder_of(run.model, run.tokenizer),
            pad_id_of(run.tokenizer),
            settings.fitting.batch_size,
        )
        self.batch_size = size
        self.examples, _ = make_examples(_labelled(exact), encoder)
        self.inputs = read_inputs(run.model, self.examples, batch_size=size, pad_id=pad_id)[HEAD]
        judged = _marked(test, _texts(policy, test, 1, seed), numpy_generator(seed, "annotators/test"), EXACT, "exact")
        examples, _ = make_examples(_labelled(judged), encoder)
        self.test = read_inputs(run.model, examples, batch_size=size, pad_id=pad_id)[HEAD]

    def records(self, person: str, noise: NoiseConfig) -> list[FeedbackRecord]:
        """What one person says of all answers, whatever the condition."""
        if (person, noise) not in self._said:
            generator = numpy_generator(self.seed, f"annotators/{person}")
            self._said[person, noise] = _marked(self.items, self.texts, generator, noise, person)
        return self._said[person, noise]

    def outcomes(self, condition: Condition) -> Iterator[Outcome]:
        """Each way of weighing the votes of a condition."""
        usual = _scaled(NoiseConfig(), condition.noise)
        people = [
            self.records(f"person-{number}", CHANCE if number < condition.chance else usual)
            for number in range(condition.pool)
        ]
        generator = numpy_generator(self.seed, f"annotators/dealt/{condition.pool}/{condition.overlap}")
        records = [
            people[person][item]
            for item in range(len(self.items))
            for person in generator.permutation(condition.pool)[: condition.overlap]
        ]
        for method in METHODS:
            labels = self._labels(weigh_annotators(records, method=method).consensus)
            yield Outcome(
                condition=condition,
                method=method,
                auroc=self._auroc(replace(self.inputs, correct=labels)),
                label_error=float(np.mean((labels < 0.5) != (self.inputs.correct < 0.5))),
            )
        if condition == CONDITIONS[0]:
            yield Outcome(condition=condition, method="exact", auroc=self._auroc(self.inputs), label_error=0.0)

    def _labels(self, consensus: Sequence[FeedbackRecord]) -> Float[np.ndarray, " n"]:
        """The labels in the order of the rows that were read."""
        by_item = {labels.record.prompt: labels for labels in _labelled(consensus)}
        examples = [replace(one, labels=by_item[one.labels.record.prompt]) for one in self.examples]
        return np.array([
            label.correct
            for group in by_length(examples, batch_size=self.batch_size)
            for example in group
            for position in example.responses
            for label in example.labels.segments[HEAD][position]
        ])  # fmt: skip

    def _auroc(self, data: HeadInputs) -> float:
        fit = fit_by_cross_validation(self.config, self.head, data)
        return float(roc_auc_score(self.test.correct, logits_of(fit.head, self.test)))


def _texts(policy: Policy, items: Sequence[SimItem], samples: int, seed: int) -> list[list[tuple[str, bool]]]:
    return sample_texts(policy, items, sampling=Sampling(max_new_tokens=110), samples=samples, seed=seed)


def _marked(
    items: Sequence[SimItem],
    texts: Sequence[Sequence[tuple[str, bool]]],
    generator: np.random.Generator,
    noise: NoiseConfig,
    person: str,
) -> list[FeedbackRecord]:
    records: list[FeedbackRecord] = []
    for item, row in zip(items, texts, strict=True):
        cuts = [cut for _, cut in row]
        record = annotate(item, [text for text, _ in row], generator, noise, truncated=cuts)
        records.append(record.model_copy(update={"annotator": person, "id": f"{record.id}/{person}"}))
    return records


def _labelled(records: Sequence[FeedbackRecord]) -> list[RecordLabels]:
    return label_records(records, spans={HEAD: RULE}, preference=False)[0]


def _scaled(noise: NoiseConfig, factor: float) -> NoiseConfig:
    rates = {name: min(0.5, getattr(noise, name) * factor) for name in ("miss", "false_alarm", "wrong_category")}
    return noise.model_copy(update=rates)
