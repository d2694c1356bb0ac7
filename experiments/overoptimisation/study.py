"""Over-optimisation in the simulated world: one long PPO run per KL coefficient, judged by the oracle at every step.

Each run leaves its answers to all held-out prompts in samples.jsonl; the page `overoptimisation.html` and
`findings.json` are made from the run folders alone.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from pydantic import Field

from experiments.lib.study import Say, Study
from spanwise.core import Config, write_json, write_text
from spanwise.evals.pages import CourseFindings, find_course, render_courses, verdict
from spanwise.evals.runs import Evaluated, read_course
from spanwise.feedback import Sample, Unscored
from spanwise.quickstart import FINE_GRAINED, SimStudyConfig
from spanwise.rl import EvaluationConfig, KLConfig
from spanwise.rl.runtime import NoProgress
from spanwise.sim import SimItem, judge, make_items
from spanwise.sweeps import TrainingPlan, make_start

MEASURED = 1e-9
"""What stands for a coefficient of 0, with which the KL would not be measured."""


class OveroptimisationConfig(Config):
    """How far the policies are driven."""

    world: SimStudyConfig = SimStudyConfig(arms=(FINE_GRAINED,), heldout_prompts=200)
    """The world, the feedback, the reward models and the settings of PPO."""
    kl_coefs: tuple[float, ...] = (0.0, 0.05, 0.2)
    """KL coefficients, one run each."""
    steps: int = Field(default=60, ge=1)
    """PPO steps of each run."""


class Overoptimisation(Study[OveroptimisationConfig, list[CourseFindings]]):
    """Runs from one start per seed, which does not depend on how PPO goes on."""

    seeds = (0, 1, 2)

    @classmethod
    def defaults(cls) -> OveroptimisationConfig:
        """Three coefficients, 60 steps."""
        return OveroptimisationConfig()

    def finished(self, seed: int) -> bool:
        """Whether every run has its last checkpoint."""
        return all((self._folder(coef, seed) / "checkpoints" / "last").exists() for coef in self.settings.kl_coefs)

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains what is missing; each run goes on from its newest training state."""
        world, steps = self.settings.world, self.settings.steps
        for coef in self.settings.kl_coefs:
            evaluation = EvaluationConfig(
                every=max(1, steps // 12),
                decoding="sample",
                max_prompts=world.heldout_prompts,
                logged_samples=world.heldout_prompts,
            )
            trainer = world.trainer.model_copy(update={"kl": KLConfig(coef=coef or MEASURED), "evaluation": evaluation})
            start = make_start(world, seed, self.place.output / "start", say=say)
            say(f"KL coefficient {coef:g}, {steps} steps")
            plan = TrainingPlan(watch=lambda _steps: nullcontext(NoProgress()), steps=steps)
            run = start.with_config(world.model_copy(update={"trainer": trainer}))
            run.train(self._folder(coef, seed), start.rewards.sources(), start.mixture, plan=plan)

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> list[CourseFindings]:  # noqa: ARG002
        """The course of every run, coefficient by coefficient."""
        return [
            find_course(f"KL {coef:g}, seed {seed}", self._course(coef, seed))
            for coef in self.settings.kl_coefs
            for seed in seeds
        ]

    def pages(self, result: list[CourseFindings], say: Say, *, command: str) -> None:  # noqa: ARG002
        """findings.json and overoptimisation.html in the output folder."""
        write_json(self.place.output / "findings.json", {course.name: course.as_dict() for course in result})
        write_text(self.place.output / "overoptimisation.html", render_courses(result, "the oracle's true score"))
        for course in result:
            say(verdict(course))

    def _course(self, coef: float, seed: int) -> list[Evaluated]:
        items = make_items(self.settings.world.heldout_prompts, seed=seed, split="rl-heldout")
        return oracle_course(self._folder(coef, seed), items)

    def _folder(self, coef: float, seed: int) -> Path:
        return self.place.output / f"kl-{coef:g}" / f"seed-{seed}"


def oracle_course(run: Path, items: Sequence[SimItem]) -> list[Evaluated]:
    """The course of a run whose held-out prompts are those of `items`, with the true score of every logged answer.

    A question that two items share says nothing of whose passages are meant, so its answers have no gold score.
    """
    asked = [item.record.prompt for item in items]
    truths = {item.record.prompt: item.truth for item in items if asked.count(item.record.prompt) == 1}

    def gold(samples: Sequence[Sample]) -> list[float | Unscored]:
        return [
            float(judge(sample.response, truths[sample.prompt]).quality)
            if sample.prompt in truths
            else Unscored("two items ask this")
            for sample in samples
        ]

    return read_course(run, gold, {item.record.prompt: item.record for item in items})
