"""What costs nothing: the policies of the simulated world, answered greedily and at lower temperatures.

An arm that was trained with rewards has shown something only where it beats the SFT policy's best decoding. The oracle
judges the same test prompts as in the study of arms, one answer a prompt; nothing is chosen on them.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from experiments.lib.outcomes import StoredTable, stacked, this_machine, today
from experiments.lib.pages import arm_table, made_of, page
from experiments.lib.study import Say, Study
from spanwise.core import Config, read_json, write_json, write_text
from spanwise.evals.statistics import Arm, ExperimentResults, arm_estimates
from spanwise.models import Policy
from spanwise.quickstart import LABELS, SFT, SIM_METRICS, SeedStudy, SimStudyConfig, answer_items, score_answers
from spanwise.rl.runtime import NoProgress
from spanwise.sim import make_items

GREEDY = "greedy"
RULE = (
    "The SFT policies are those of [the study of arms](results.md), which answers at temperature 1, on the same test "
    "prompts, one answer each. An arm that was trained with rewards has shown something only where it beats the best "
    "row here; no temperature was chosen on these prompts, all are shown."
)
METRICS = {name: info for name, info in SIM_METRICS.items() if name != "kl"}
"""Log-ratios of answers at different temperatures are of different distributions and do not compare."""


class FreeRivalsConfig(Config):
    """Which policies, at which temperatures."""

    world: SimStudyConfig = SimStudyConfig(arms=(SFT,))
    """The study whose arms are answered; with sft alone no reward model is trained."""
    temperatures: tuple[float, ...] = (1.0, 0.7, 0.5, 0.3)
    """Temperatures beside greedy decoding."""


class _Outcome(BaseModel):
    """Score tables of one seed, by decoding and metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: dict[str, dict[str, StoredTable]]
    seconds: float


class FreeRivals(Study[FreeRivalsConfig, ExperimentResults]):
    """Every arm of `world` under every decoding."""

    @classmethod
    def defaults(cls) -> FreeRivalsConfig:
        """SFT alone."""
        return FreeRivalsConfig()

    @classmethod
    def tiny(cls) -> FreeRivalsConfig:
        """A handful of everything."""
        world = SimStudyConfig(arms=(SFT,), demonstrations=16, heldout_demonstrations=4, test_prompts=8)
        return FreeRivalsConfig(world=world, temperatures=(1.0,))

    def finished(self, seed: int) -> bool:
        """Whether the seed's tables are there."""
        return self._file(seed).exists()

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains the arms, then answers the test prompts under every decoding."""
        world = self.settings.world
        outcome = SeedStudy(world, seed, self.place.output, say=say).run(
            lambda _label, _steps: nullcontext(NoProgress())
        )
        items = make_items(world.test_prompts, seed=0, split=world.judged_split, wording="held-out")
        tables: dict[str, dict[str, StoredTable]] = {}
        for arm in world.arms:
            policy = Policy.load(self.place.output / arm / f"seed-{seed}" / "checkpoints" / "best")
            for name, temperature in self._decodings():
                say(f"{LABELS[arm]}, {name}")
                sampling = world.sampling.model_copy(update={"temperature": temperature or 1.0})
                answers = answer_items(policy, policy, items, sampling=sampling, seed=seed, greedy=temperature is None)
                scores = score_answers(items, answers, seed=seed)
                tables[f"{LABELS[arm]}, {name}"] = {metric: StoredTable.of(scores[metric]) for metric in METRICS}
        stored = _Outcome(tables=tables, seconds=sum(outcome.seconds.values()))
        write_json(self._file(seed), stored.model_dump(mode="json"))

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ExperimentResults:  # noqa: ARG002
        """Means over prompts and seeds with their intervals."""
        outcomes = {seed: _Outcome.model_validate(read_json(self._file(seed))) for seed in seeds}
        labels = list(next(iter(outcomes.values())).tables)
        return ExperimentResults(
            title="What decoding alone gives",
            created=today(),
            machine=this_machine(),
            command=command,
            seeds=tuple(seeds),
            seconds={"training": sum(outcome.seconds for outcome in outcomes.values())},
            config=self.settings.model_dump(mode="json"),
            metrics=METRICS,
            arms={
                label: Arm(
                    label=label,
                    metrics=arm_estimates(
                        stacked({seed: outcome.tables[label] for seed, outcome in outcomes.items()}, METRICS), arm=label
                    ),
                )
                for label in labels
            },
            comparisons=(),
        )

    def pages(self, result: ExperimentResults, say: Say, *, command: str) -> None:
        """results.json and the page."""
        result.save(self.place.output)
        seeds, _ = made_of(result)
        head = f"Made by `{command}` on {result.created}: seeds {seeds} on {result.machine}."
        text = page(["# What decoding alone gives", head, RULE, arm_table(result)])
        write_text(self.place.docs or self.place.output / "free_rivals.md", text)
        say(text)

    def _decodings(self) -> list[tuple[str, float | None]]:
        return [*((f"temperature {value:g}", value) for value in self.settings.temperatures), (GREEDY, None)]

    def _file(self, seed: int) -> Path:
        return self.place.output / "outcomes" / f"seed-{seed}.json"
