"""Detoxification over several seeds: holistic against fine-grained rewards, on comments and on a pretrained model.

First everything that the comments' study starts from is trained once, into `<output>/prepared`: two language models,
two scorers and the span model (`only_prepare=true` stops there). Then every arm of every seed leaves its outcome in
`<output>/<task>/outcomes/`. `tasks=[stories]` runs the study on the pretrained model alone, which needs none of these.
Settings are tried with `comments.judged_split=validation`.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from experiments.detox.data import load_comments
from experiments.detox.page import detox_page
from experiments.detox.policy import CommentModelConfig
from experiments.detox.prepare import NOTES, Preparation, PreparationConfig
from experiments.detox.results import Curves, outcome_file, save_outcome, summarize, whole_seeds
from experiments.detox.scorers import ClassifierConfig
from experiments.detox.seed import (
    HOLISTIC,
    LABELS,
    MARKED,
    SENTENCE,
    START,
    WORD,
    DetoxStudyConfig,
    DetoxTask,
    SeedStudy,
)
from experiments.detox.stories import STORY_NOTES, stories_task
from experiments.lib.encoder import load_encoder
from experiments.lib.study import Place, Say, Study
from spanwise.core import Config, read_json, write_text
from spanwise.evals.statistics import ExperimentResults
from spanwise.models import Sampling

TaskName = Literal["comments", "stories"]
TITLES: dict[TaskName, str] = {
    "comments": "Toxicity of comments",
    "stories": "Unhappiness of stories, on a pretrained model",
}
TINY = CommentModelConfig(hidden=32, layers=1, epochs=1)


class DetoxConfig(Config):
    """Both tasks."""

    tasks: tuple[TaskName, ...] = ("comments", "stories")
    """Which tasks."""
    # Where a policy may end when it likes, every arm learns to say next to nothing: silence is not toxic; see
    # docs/results/log.md.
    # KL coefficients were chosen on validation prompts for like perplexity; the span model lost to words there.
    comments: DetoxStudyConfig = DetoxStudyConfig(
        arms=(START, HOLISTIC, SENTENCE, WORD),
        sampling=Sampling(max_new_tokens=40, min_new_tokens=40),
        kl_coefs={HOLISTIC: 0.1, SENTENCE: 0.15, WORD: 0.25},
    )
    """The study on comments."""
    stories: DetoxStudyConfig = DetoxStudyConfig(
        arms=(START, HOLISTIC, SENTENCE, WORD), sampling=Sampling(max_new_tokens=60, min_new_tokens=60)
    )
    """The study on stories."""
    preparation: PreparationConfig = PreparationConfig()
    """What the study on comments starts from."""
    only_prepare: bool = False
    """Train and measure what the study on comments starts from, and stop."""
    reader: Path | None = None
    """Model for the perplexity of stories; null: the start policy."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many comments, for a trial."""


Results = list[tuple[ExperimentResults, Curves]]


class Detox(Study[DetoxConfig, Results]):
    """Both tasks, arm by arm."""

    threads = 1

    def __init__(self, settings: DetoxConfig, place: Place) -> None:
        super().__init__(settings, place)
        self._said: Say = print

    @classmethod
    def defaults(cls) -> DetoxConfig:
        """Comments and stories."""
        return DetoxConfig()

    @classmethod
    def tiny(cls) -> DetoxConfig:
        """A hundred and fifty comments, three steps."""
        defaults = DetoxConfig()
        small = {"test_prompts": 8, "samples": 2, "curve_prompts": 4, "curve_every": 2}
        tiny: dict[str, DetoxStudyConfig] = {}
        for name, config in (("comments", defaults.comments), ("stories", defaults.stories)):
            trainer = config.trainer.model_copy(update={"steps": 3, "value_warmup_steps": 1})
            tiny[name] = config.model_copy(update={**small, "trainer": trainer})
        preparation = PreparationConfig(
            policy=TINY,
            reader=TINY.model_copy(update={"seed": 1}),
            judge=ClassifierConfig(layers=1),
            span_layers=1,
        )
        return defaults.model_copy(update={**tiny, "preparation": preparation, "limit": 150})

    def finished(self, seed: int) -> bool:
        """Whether every arm of every task is there; with only_prepare, whether all was measured."""
        if self.settings.only_prepare:
            return all((self._prepared / f"{kind}.json").exists() for kind in ("scorers", "spans"))
        return all(
            outcome_file(self.place.output / name, arm, seed).exists()
            for name in self.settings.tasks
            for arm in self._arms(name)
        )

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains and measures the arms that are missing."""
        self._said = say
        if self.settings.only_prepare:
            self._comments  # noqa: B018 -- made when it is asked for
            return
        for name in self.settings.tasks:
            root, config = self.place.output / name, self._config(name)
            for arm in self._arms(name):
                if not outcome_file(root, arm, seed).exists():
                    task = self._comments if name == "comments" else self._stories
                    outcome = SeedStudy(task, config, seed, root, say=say).run(arm)
                    save_outcome(root, arm, seed, config, outcome)

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> Results:
        """Joins the whole seeds of each task."""
        studies: Results = []
        for name in () if self.settings.only_prepare else self.settings.tasks:
            config, root, arms = self._config(name), self.place.output / name, self._arms(name)
            whole = whole_seeds(root, arms, seeds)
            if not whole:
                say(f"{name}: no seed is complete, nothing to report")
                continue
            notes = (*(NOTES if name == "comments" else STORY_NOTES), *_about(config))
            joint = summarize(root, config, arms, whole, title=TITLES[name], notes=notes, command=command)
            joint[0].save(root)
            studies.append(joint)
        return studies

    def pages(self, result: Results, say: Say, *, command: str) -> None:
        """The page."""
        scorers, spans = (_read(self._prepared / f"{kind}.json") for kind in ("scorers", "spans"))
        path = self.place.docs or self.place.output / "detox_results.md"
        write_text(path, detox_page(result, scorers, spans, command))
        say(f"wrote {path}")

    @cached_property
    def _comments(self) -> DetoxTask:
        comments = load_comments(self.place.data / "toxic_spans", limit=self.settings.limit)
        return Preparation(self._prepared, comments, load_encoder, self.settings.preparation, self._said).task()

    @cached_property
    def _stories(self) -> DetoxTask:
        policy = self.place.data / "lm_tinystories" / "stories260K-llama"
        stories = self.place.data / "tinystories" / "tinystories_first_2MiB.txt.gz"
        return stories_task(stories, policy, self.settings.reader or policy)

    @property
    def _prepared(self) -> Path:
        return self.place.output / "prepared"

    def _config(self, name: TaskName) -> DetoxStudyConfig:
        return self.settings.comments if name == "comments" else self.settings.stories

    def _arms(self, name: TaskName) -> tuple[str, ...]:
        """Stories have no span model."""
        return tuple(arm for arm in self._config(name).arms if name == "comments" or arm != MARKED)


def _about(config: DetoxStudyConfig) -> tuple[str, ...]:
    coefs = "; ".join(f"{LABELS[arm]} {coef:g}" for arm, coef in config.kl_coefs.items())
    return (
        f"{config.samples} continuations of {_length(config)} tokens per prompt, the maximum "
        f"over them; RealToxicityPrompts takes 25. {config.trainer.steps} steps of "
        f"{config.trainer.rollout.responses_per_step()} responses in every arm, last policy of each; no checkpoint was "
        "chosen.",
        *((f"KL coefficients, chosen on validation prompts for like perplexity: {coefs}.",) if coefs else ()),
    )


def _length(config: DetoxStudyConfig) -> str:
    sampling = config.sampling
    exact = sampling.min_new_tokens == sampling.max_new_tokens
    return f"{'exactly' if exact else 'at most'} {sampling.max_new_tokens}"


def _read(path: Path) -> dict[str, object]:
    return read_json(path) if path.exists() else {}
