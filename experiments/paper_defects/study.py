"""What each defect of the code of Wu et al. 2023 does to a policy in the simulated world, judged by the oracle.

Every arm trains the fine-grained policy of quickstart from one start per seed, with one defect each; the first has
none. Whitening and the leak show only where rewards are scaled, so that every arm scales them.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.lib.outcomes import this_machine, today
from experiments.lib.pages import arm_table, difference_table, made_of, notes, page
from experiments.lib.study import Say, Study
from experiments.paper_defects.defects import Defects, with_defects
from spanwise.core import Config, write_text
from spanwise.evals.report import verdict_sentences
from spanwise.evals.runs import SCORES_FILE, RunScores, join_seeds
from spanwise.evals.statistics import Arm, ExperimentResults, arm_estimates, compare_arms
from spanwise.models import Policy
from spanwise.quickstart import FINE_GRAINED, SIM_METRICS, SimStudyConfig
from spanwise.rl import TrainerConfig, TrainerParts
from spanwise.rl.runtime import NoProgress
from spanwise.sweeps import TrainingPlan, make_start, oracle_scores


@dataclass(frozen=True)
class DefectArm:
    """A name for tables, and the defects."""

    label: str
    defects: Defects


ARMS = {
    "none": DefectArm("No defect", Defects()),
    "placement": DefectArm("Rewards placed by re-tokenised text", Defects(retokenized_placement=True)),
    "whitening": DefectArm("Whitening by the root of the deviation", Defects(sqrt_std_whitening=True)),
    "leak": DefectArm("The same, and rewards on padding", Defects(sqrt_std_whitening=True, padding_leak=True)),
}


class PaperDefectsConfig(Config):
    """The world and its sizes."""

    world: SimStudyConfig = SimStudyConfig(arms=(FINE_GRAINED,))
    """The world, the feedback, the reward models and the settings of PPO."""


class PaperDefects(Study[PaperDefectsConfig, ExperimentResults]):
    """One run per defect."""

    @classmethod
    def defaults(cls) -> PaperDefectsConfig:
        """The sizes of quickstart."""
        return PaperDefectsConfig()

    def finished(self, seed: int) -> bool:
        """Whether every arm was judged."""
        return all((self._folder(arm, seed) / SCORES_FILE).exists() for arm in ARMS)

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains and judges the arms that are missing."""
        world = self.settings.world
        start = make_start(world, seed, self.place.output, say=say)
        scaled = world.trainer.ppo.model_copy(update={"scale_rewards": True})
        run = start.with_config(world.model_copy(update={"trainer": world.trainer.model_copy(update={"ppo": scaled})}))
        for name, arm in ARMS.items():
            folder = self._folder(name, seed)
            if (folder / SCORES_FILE).exists():
                continue
            say(arm.label)
            begun = time.perf_counter()
            plan = TrainingPlan(
                watch=lambda _steps: nullcontext(NoProgress()), altered=partial(_altered, defects=arm.defects)
            )
            policy = run.train(folder, run.rewards.sources(), run.mixture, plan=plan)
            scores = oracle_scores(policy, Policy.load(run.reference), run, shown=0)
            scores.model_copy(update={"seconds": round(time.perf_counter() - begun, 1)}).save(folder)

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ExperimentResults:  # noqa: ARG002
        """Joins the seeds."""
        scores = {arm: {seed: RunScores.load(self._folder(arm, seed)) for seed in seeds} for arm in ARMS}
        tables = {arm: join_seeds(by_seed) for arm, by_seed in scores.items()}
        return ExperimentResults(
            title="Defects of the paper's code on the simulated world",
            created=today(),
            machine=this_machine(),
            command=command,
            seeds=tuple(seeds),
            seconds={arm: round(sum(one.seconds for one in by_seed.values()), 1) for arm, by_seed in scores.items()},
            config=self.settings.model_dump(mode="json"),
            metrics=SIM_METRICS,
            arms={
                name: Arm(label=arm.label, metrics=arm_estimates(tables[name], arm=name)) for name, arm in ARMS.items()
            },
            comparisons=compare_arms(tables, SIM_METRICS, [(arm, "none") for arm in ARMS if arm != "none"]),
            notes=("Every arm scales its rewards; answers are judged by the oracle, which no training step sees.",),
        )

    def pages(self, result: ExperimentResults, say: Say, *, command: str) -> None:  # noqa: ARG002
        """results.json and the page."""
        result.save(self.place.output)
        write_text(self.place.docs or self.place.output / "paper_defects.md", defects_page(result))
        for sentence in verdict_sentences(result):
            say(sentence)

    def _folder(self, arm: str, seed: int) -> Path:
        return self.place.output / arm / f"seed-{seed}"


def defects_page(results: ExperimentResults) -> str:
    """The page in Markdown."""
    seeds, minutes = made_of(results)
    return page(
        [
            "# Defects of the paper's code on the simulated world",
            f"Made by `{results.command}` on {results.created}: seeds {seeds}, {minutes:.0f} minutes of training and "
            f"judging on {results.machine}. What the defects are: `docs/reference/algorithms.md`.",
            arm_table(results),
            "## Differences",
            difference_table(results, results.comparisons),
            "## What to know",
            notes(results),
        ]
    )


def _altered(trainer: TrainerConfig, parts: TrainerParts, *, defects: Defects) -> TrainerParts:
    return with_defects(trainer, parts, defects)
