"""What the same minutes of an annotator bring as marks, preferences, edits, or both of the first, at each budget."""

from collections.abc import Mapping, Sequence

from experiments.lib.outcomes import StoredTable, stacked, this_machine, today
from experiments.lib.study import Say, Study
from experiments.minutes.page import write_page
from experiments.minutes.seed import Feedback, MinutesConfig, MinutesSeed
from spanwise.core import DataError, read_json
from spanwise.evals.rivals import GREEDY
from spanwise.evals.statistics import Arm, ExperimentResults, ScoreTable, arm_estimates, compare_arms
from spanwise.quickstart import SFT, SIM_METRICS

METRICS = {name: info for name, info in SIM_METRICS.items() if name != "kl"}


class Minutes(Study[MinutesConfig, ExperimentResults]):
    """Every kind of feedback at its budgets, judged greedily."""

    @classmethod
    def defaults(cls) -> MinutesConfig:
        """Marks and preferences at three budgets, edits and both at one."""
        return MinutesConfig()

    def finished(self, seed: int) -> bool:
        """Whether every part of the seed is there."""
        part = self._seed(seed)
        return all(part.outcome_file(kind, minutes).exists() for kind, minutes in part.parts())

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains what is missing; a run that was stopped goes on."""
        MinutesSeed(self.settings, seed, self.place.output, say=say).run()

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ExperimentResults:  # noqa: ARG002
        """Joins the outcomes; each arm is held against greedy SFT, and marks against what else the minutes buy."""
        parts = [self._seed(seed) for seed in seeds]
        tables = {
            arm_name(kind, minutes): stacked({part.seed: _tables(part, kind, minutes) for part in parts}, METRICS)
            for kind, minutes in parts[0].parts()
        }
        return ExperimentResults(
            title="Feedback for the same minutes",
            created=today(),
            machine=this_machine(),
            command=command,
            seeds=tuple(seeds),
            config=self.settings.model_dump(mode="json"),
            metrics=METRICS,
            arms=self._arms(tables),
            comparisons=compare_arms(
                tables, METRICS, self._pairs(), rivals={arm: (SFT,) for arm in tables if arm != SFT}
            ),
        )

    def pages(self, result: ExperimentResults, say: Say, *, command: str) -> None:  # noqa: ARG002
        """results.json, and the page with its picture."""
        result.save(self.place.output)
        if self.place.docs:
            write_page(result, self.settings, self.place.docs)
        say(f"{len(result.arms)} arms over {len(result.seeds)} seeds")

    def _seed(self, seed: int) -> MinutesSeed:
        return MinutesSeed(self.settings, seed, self.place.output, say=_silent)

    def _arms(self, tables: Mapping[str, Mapping[str, ScoreTable]]) -> dict[str, Arm]:
        arms = {SFT: Arm(label="SFT", kind="sft", policy=SFT, decoding=GREEDY)}
        for kind, budgets in self.settings.budgets.items():
            for budget in budgets:
                name, label = arm_name(kind, budget), f"{kind}, {budget:g} minutes"
                arms[name] = Arm(label=label, kind=kind, policy=name, decoding=GREEDY, rivals=(SFT,))
        return {
            name: arm.model_copy(update={"metrics": arm_estimates(tables[name], arm=name)})
            for name, arm in arms.items()
        }

    def _pairs(self) -> list[tuple[str, str]]:
        """Each arm against greedy SFT, and against preferences for the same minutes where there are any."""
        pairs: list[tuple[str, str]] = []
        for kind, budgets in self.settings.budgets.items():
            for budget in budgets:
                pairs.append((arm_name(kind, budget), SFT))
                if kind != "preferences" and budget in self.settings.budgets.get("preferences", ()):
                    pairs.append((arm_name(kind, budget), arm_name("preferences", budget)))
        return pairs


def arm_name(kind: str | None, minutes: float) -> str:
    """The name of a part in results."""
    return f"{kind}-{minutes:g}" if kind else SFT


def _tables(part: MinutesSeed, kind: Feedback | None, minutes: float) -> dict[str, StoredTable]:
    path = part.outcome_file(kind, minutes)
    stored = read_json(path)
    if stored["config"] != part.made_with():
        raise DataError(f"{path}: made with other settings; give another folder with --output.")
    return {metric: StoredTable.model_validate(table) for metric, table in stored["tables"].items()}


def _silent(_sentence: str) -> None: ...
