"""A setting of a sweep as a run of `spanwise rl`, measured on all held-out prompts by its rewards, unweighted."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from spanwise.evals.metrics import TEXT_METRICS, AnswerText, reward_info, reward_scores, text_scores
from spanwise.evals.rivals import DecodingConfig, answers_under, samples_of
from spanwise.evals.runs import RunScores, ShownAnswer
from spanwise.evals.statistics import ExampleAnswer
from spanwise.feedback import PromptRecord, load_or_raise
from spanwise.models import Answer, AnswerConfig, Policy
from spanwise.rl import RLConfig, reward_pipeline, train_policy
from spanwise.rl.runtime import ProgressView
from spanwise.sweeps.config import SweepConfig, check_sources

ANSWER_SEED = 0
"""All settings and seeds answer with the same random numbers."""
SAMPLES = 4
"""Sampled answers to each prompt, beside the greedy one."""


class RLSettings:
    """Runs settings of a sweep over a config of `spanwise rl`; `watch` shows one run of so many steps."""

    def __init__(self, config: SweepConfig, watch: Callable[[int], AbstractContextManager[ProgressView]]) -> None:
        if config.base is None:
            raise ValueError("a sweep over a config of spanwise rl needs base")
        self.config = config
        self.watch = watch
        self.base = RLConfig.load(config.base, config.overrides)
        check_sources(config.points(), tuple(self.base.mixture.sources), str(config.base))
        self._start: RunScores | None = None

    def run(self, weights: Mapping[str, float], seed: int, folder: Path) -> RunScores:
        """Trains with these weights and measures the held-out answers of the checkpoint."""
        settings = self.settings(weights, seed, folder)
        with self.watch(settings.steps) as progress:
            train_policy(settings, progress)
        return self._measure(settings, folder / "checkpoints" / self.config.measured_policy)

    def settings(self, weights: Mapping[str, float], seed: int, folder: Path) -> RLConfig:
        """The base with other weights (a schedule of a weight that is set ends), seed and folder."""
        sources = dict(self.base.mixture.sources)
        for name, weight in weights.items():
            fixed = {"weight": weight, "final_weight": None, "schedule_steps": 0}
            sources[name] = sources[name].model_copy(update=fixed)
        mixture = self.base.mixture.model_copy(update={"sources": sources})
        return self.base.model_copy(update={"mixture": mixture, "seed": seed, "run_dir": folder, "resume": "auto"})

    def start(self, seed: int) -> RunScores:
        """The same measures of the policy that every run begins with, which no seed changes."""
        if self._start is None:
            self._start = self._measure(self.settings({}, seed, self.config.run_dir), self.base.policy)
        return self._start

    def _measure(self, settings: RLConfig, checkpoint: Path | str) -> RunScores:
        """By the decoding of the evaluation, and beside it by the other one."""
        policy = Policy.load(checkpoint, device=settings.device)
        greedy, sampled = DecodingConfig(), DecodingConfig(temperature=settings.sampling.temperature)
        first, other = (greedy, sampled) if settings.evaluation.decoding == "greedy" else (sampled, greedy)
        scores = self._scores(settings, policy, other)
        return self._scores(settings, policy, first).model_copy(
            update={"decoding": first.title, "also": {other.title: scores.model_copy(update={"answers": ()})}}
        )

    def _scores(self, settings: RLConfig, policy: Policy, decoding: DecodingConfig) -> RunScores:
        records = load_or_raise(settings.heldout, PromptRecord)
        how = AnswerConfig(
            seed=ANSWER_SEED,
            decoding="sample",
            sampling=settings.sampling,
            samples_per_prompt=SAMPLES,
            max_prompt_tokens=settings.rollout.max_prompt_tokens,
        )
        answers = answers_under(policy, records, decoding, how)
        sources = reward_pipeline(settings).sources
        ids = [answer.id for answer in answers]
        tables = reward_scores(sources, ids, samples_of(records, answers)) | text_scores(_texts(records, answers))
        infos = {f"reward/{source.name}": reward_info(source) for source in sources} | TEXT_METRICS
        return RunScores.of(tables, infos, answers=_shown(records, answers, self.config.example_prompts))


def _texts(records: Sequence[PromptRecord], answers: Sequence[Answer]) -> list[AnswerText]:
    references = {record.id or str(number): record.references for number, record in enumerate(records)}
    return [
        AnswerText(answer.id, answer.response, references[answer.id], answer.truncated, answer.tokens)
        for answer in answers
    ]


def _shown(records: Sequence[PromptRecord], answers: Sequence[Answer], count: int) -> list[ShownAnswer]:
    """The first answer to each of the first prompts."""
    first = [answer for answer in answers if answer.sample == 0]
    return [
        ShownAnswer(
            prompt=record.prompt,
            passages=record.passages,
            answer=ExampleAnswer(response=answer.response, truncated=answer.truncated),
        )
        for record, answer in list(zip(records, first, strict=True))[:count]
    ]
