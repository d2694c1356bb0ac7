"""Baselines that need no rewards in a loop, for the same minutes of annotation: one command, one table.

SFT, best of n, expert iteration, RRHF, fine-tuning on edits, DPO, DPOP, FIGA and alignment while answering, judged by
the oracle on sampled answers to held-out prompts. PPO for the same minutes is in the study of arms (`sim_arms`).
"""

from collections.abc import Sequence

from experiments.baselines.seed import LABELS, SFT, BaselinesConfig, BaselinesSeed
from experiments.lib.outcomes import StoredTable, stacked, this_commit, this_machine, today
from experiments.lib.pages import arm_table, difference_table, made_of, page
from experiments.lib.study import Say, Study
from spanwise.core import DataError, read_json, write_text
from spanwise.evals.rivals import RivalSettings
from spanwise.evals.statistics import Arm, ExperimentResults, arm_estimates, compare_arms
from spanwise.models import Sampling
from spanwise.quickstart import SIM_METRICS, STUDY, AnnotationConfig
from spanwise.training import DPOConfig, SFTConfig

METRICS = {name: info for name, info in SIM_METRICS.items() if name != "kl"}


class Baselines(Study[BaselinesConfig, ExperimentResults]):
    """All baselines of a seed from the same feedback."""

    @classmethod
    def defaults(cls) -> BaselinesConfig:
        """The minutes of the study of arms."""
        return BaselinesConfig()

    @classmethod
    def tiny(cls) -> BaselinesConfig:
        """Two hours of annotation, eight test prompts."""
        world = STUDY.model_copy(update={
            "arms": (SFT,),
            "annotation": AnnotationConfig(minutes=240),
            "test_prompts": 8,
            "test_samples": 4,
            "free_rivals": RivalSettings(temperatures=(), best_of=4),
            "sampling": Sampling(max_new_tokens=40),
        })  # fmt: skip
        return BaselinesConfig(
            world=world, ranked_prompts=12, ranked_answers=4, sft=SFTConfig(epochs=1), dpo=DPOConfig()
        )

    def finished(self, seed: int) -> bool:
        """Whether every arm of the seed is there."""
        part = self._seed(seed)
        return all(part.outcome_file(arm).exists() for arm in LABELS)

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains what is missing."""
        BaselinesSeed(self.settings, seed, self.place.output, say=say).run()

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ExperimentResults:  # noqa: ARG002
        """Joins the outcomes; each arm is held against SFT."""
        parts = [self._seed(seed) for seed in seeds]
        tables = {arm: stacked({part.seed: _tables(part, arm) for part in parts}, METRICS) for arm in LABELS}
        arms = {
            arm: Arm(label=label, policy=arm, metrics=arm_estimates(tables[arm], arm=arm))
            for arm, label in LABELS.items()
        }
        return ExperimentResults(
            title="Baselines for the same minutes",
            created=today(),
            machine=this_machine(),
            command=command,
            seeds=tuple(seeds),
            config=self.settings.model_dump(mode="json"),
            metrics=METRICS,
            arms=arms,
            comparisons=compare_arms(tables, METRICS, [(arm, SFT) for arm in LABELS if arm != SFT]),
        )

    def pages(self, result: ExperimentResults, say: Say, *, command: str) -> None:  # noqa: ARG002
        """results.json and the page."""
        result.save(self.place.output)
        text = _page(result, self.settings)
        write_text(self.place.output / "baselines.md", text)
        if self.place.docs:
            write_text(self.place.docs, text)
        say(f"\n{text}")

    def _seed(self, seed: int) -> BaselinesSeed:
        return BaselinesSeed(self.settings, seed, self.place.output, say=_silent)


def _page(result: ExperimentResults, settings: BaselinesConfig) -> str:
    seeds, _ = made_of(result)
    minutes = settings.world.annotation.minutes
    return page([
        "# Baselines for the same minutes of annotation",
        f"Made by `{result.command}` at commit {this_commit()} on {result.created}: seeds {seeds}, {result.machine}. "
        f"Each arm has {minutes:g} minutes of an annotator, as preferences (best of n, expert iteration, RRHF) or as "
        "edits (the others); all start from the packaged SFT policy. The judge is the oracle of the simulated world, "
        f"on sampled answers (best of {settings.world.free_rivals.best_of}).",
        arm_table(result),
        "## Differences to SFT",
        difference_table(result, result.comparisons),
    ])  # fmt: skip


def _tables(part: BaselinesSeed, arm: str) -> dict[str, StoredTable]:
    path = part.outcome_file(arm)
    stored = read_json(path)
    if stored["config"] != part.made_with():
        raise DataError(f"{path}: made with other settings; give another folder with --output.")
    return {metric: StoredTable.model_validate(table) for metric, table in stored["tables"].items()}


def _silent(_sentence: str) -> None: ...
