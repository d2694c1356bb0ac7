"""Which reward sources know where an answer is wrong, what they cost, and which models they need: one table.

In the simulated world every source learns from the same answers of the SFT policy (noisy marks, preferences, edits) and
is measured on exact marks of others; then on real marks of QA-Feedback, half of whose questions teach. Nobody had
measured whether rewards learnt from preferences alone say where.
"""

import json
from collections.abc import Iterator, Sequence

from pydantic import Field

from experiments.lib.encoder import load_encoder
from experiments.lib.study import PagedStudy, Say
from experiments.qa_feedback.data import folds_by_question, load_feedback
from experiments.reward_sources.measure import Marked, SourceRow, measure
from experiments.reward_sources.page import reward_sources_page
from experiments.reward_sources.sources import OWN, Named, Teaching, from_feedback, implicit, pooled_by_phrase
from spanwise.core import Config, numpy_generator, write_json
from spanwise.feedback import FeedbackRecord, Sample
from spanwise.models import Policy, Sampling
from spanwise.quickstart import collect_feedback, sample_texts
from spanwise.reward_models import FactualityRule, FittingConfig, RelevanceRule
from spanwise.reward_models.network import load_backbone
from spanwise.sim import NoiseConfig, OracleSource, base_checkpoint, edit_answer, judge, make_items, policy_checkpoint
from spanwise.text import Span
from spanwise.training import DPOConfig

SIM, REAL = "simulated", "QA-Feedback"


class RewardSourcesConfig(Config):
    """Sizes of the study."""

    prompts: int = Field(default=300, ge=4)
    """Prompts of the simulated world whose answers teach."""
    answers: int = Field(default=4, ge=2)
    """Answers to each."""
    test_prompts: int = Field(default=100, ge=1)
    """Prompts whose answers are judged, two each."""
    noise: NoiseConfig = NoiseConfig()
    """How unreliable the annotator is."""
    fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.001, 0.01, 0.1, 1.0), state_scales=(0.0, 0.1, 0.3)
    )
    """How the heads are fitted in the simulated world."""
    dpo: DPOConfig = DPOConfig(epochs=2, learning_rate=1e-4)
    """DPO on edits of the first answer to each prompt."""
    real_fitting: FittingConfig = FittingConfig(method="linear", strengths=(0.001, 0.01, 0.1), state_scales=(0.0, 0.1))
    """How the heads are fitted on QA-Feedback, where the backbone has one layer and counted features do the work."""
    real_records: int = Field(default=500, ge=0)
    """Records of QA-Feedback, half to learn from and half to judge; 0 leaves them out."""


class RewardSources(PagedStudy[RewardSourcesConfig, dict[int, list[SourceRow]]]):
    """One file of rows a seed."""

    name = "reward_sources"
    threads = 1

    @classmethod
    def defaults(cls) -> RewardSourcesConfig:
        """1,200 answers."""
        return RewardSourcesConfig()

    @classmethod
    def tiny(cls) -> RewardSourcesConfig:
        """A few answers; without real marks."""
        few = FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,))
        return RewardSourcesConfig(prompts=12, test_prompts=6, fitting=few, dpo=DPOConfig(), real_records=0)

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains and measures all sources of the seed."""
        rows = list(self._simulated(seed, say))
        if self.settings.real_records:
            rows += self._real(seed, say)
        write_json(self.file(seed), [row.model_dump() for row in rows])

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[int, list[SourceRow]]:  # noqa: ARG002
        """The rows of all seeds."""
        read = {seed: json.loads(self.file(seed).read_text()) for seed in seeds}
        return {seed: [SourceRow.model_validate(row) for row in rows] for seed, rows in read.items()}

    def page(self, result: dict[int, list[SourceRow]], command: str) -> str:
        """The page in Markdown."""
        return reward_sources_page(result, command)

    def _simulated(self, seed: int, say: Say) -> Iterator[SourceRow]:
        settings, start = self.settings, str(policy_checkpoint())
        policy, sampling = Policy.load(start), Sampling(max_new_tokens=110)
        items = make_items(settings.prompts, seed=seed, split="feedback")
        records = collect_feedback(
            policy, items, samples=settings.answers, sampling=sampling, noise=settings.noise, seed=seed
        )
        test = make_items(settings.test_prompts, seed=seed, split="test")
        answers = [
            Marked(
                Sample.of(item.record, text, truncated=cut),
                tuple(finding.span for finding in judge(text, item.truth, truncated=cut).errors),
                item.record.id,
            )
            for item, row in zip(test, sample_texts(policy, test, sampling=sampling, samples=2, seed=seed), strict=True)
            for text, cut in row
            if text.strip()
        ]
        teaching = Teaching(
            records=records,
            backbone=load_backbone(str(base_checkpoint())),
            fitting=settings.fitting,
            relevance=RelevanceRule(min_span_words=3, min_coverage=0.5),  # as quickstart's: a jittered mark may touch
            factuality=FactualityRule(density="sub-sentence"),
            models=OWN,
            seed=seed,
        )
        generator = numpy_generator(seed, "reward-sources/edits")
        texts = [[response.text for response in record.responses] for record in records]
        pairs = [
            pair
            for item, row in zip(items, texts, strict=True)
            if (pair := edit_answer(item, row[0], generator, settings.noise)) is not None
        ]
        held = max(1, len(pairs) // 10)
        named: list[Named] = [Named("oracle, exact marks", OracleSource(test), "the truth")]
        named += from_feedback(teaching)
        named.append(pooled_by_phrase(teaching, start))
        folder = self.place.output / f"dpo-{seed}"
        named.append(implicit(start, pairs[held:], pairs[:held], settings.dpo, folder))
        yield from self._measured(named, answers, SIM, seed, say)

    def _real(self, seed: int, say: Say) -> Iterator[SourceRow]:
        settings = self.settings
        records = load_feedback(self.place.data)[: settings.real_records]
        fold = folds_by_question(records, count=2, seed=seed)
        halves = [[record for record, number in zip(records, fold, strict=True) if number == half] for half in (0, 1)]
        teaching = Teaching(
            records=halves[0],
            backbone=load_encoder(),
            layers=1,
            fitting=settings.real_fitting,
            relevance=RelevanceRule(),
            factuality=FactualityRule(),
            models="all-MiniLM-L6-v2 (Apache-2.0), one layer",
            seed=seed,
            max_words=100,
            use_passages=False,
            shared_out=("sentence", "sub-sentence"),
        )
        yield from self._measured(list(from_feedback(teaching)), _marked(halves[1]), REAL, seed, say)

    def _measured(
        self, named: Sequence[Named], answers: Sequence[Marked], world: str, seed: int, say: Say
    ) -> Iterator[SourceRow]:
        for one in named:
            row = measure(one.source, answers, world=world, models=one.models, seed=seed)
            say(f"{world}: {one.title}")
            yield row.model_copy(update={"source": one.title})


def _marked(records: Sequence[FeedbackRecord]) -> list[Marked]:
    """The marked answers of QA-Feedback; what is missing is no word and not asked for."""
    return [
        Marked(
            Sample.of(record, response.text), tuple(Span(mark.start, mark.end) for mark in response.spans), record.id
        )
        for record in records
        for response in record.responses
        if response.marked and response.spans
    ]
