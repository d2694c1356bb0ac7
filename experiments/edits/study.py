"""The study of edits on the simulated world: reward models, arms, and the page docs/results/edits.md.

Each finished arm leaves its outcome in `<output>/seed-<n>/outcomes/` and is not run again; a PPO run that was stopped
goes on where it was. `arms=[]` stops after the reward models. Settings are chosen on other seeds and splits than the
results: `--seeds 100 split=tune-`.
"""

from collections.abc import Sequence

from experiments.edits.arms import SFT
from experiments.edits.page import write_page
from experiments.edits.results import EditResults, collect
from experiments.edits.seed import EditSeed, EditStudyConfig
from experiments.lib.study import Say, Study
from spanwise.core import read_json


class Edits(Study[EditStudyConfig, EditResults]):
    """Every arm of arms.py."""

    @classmethod
    def defaults(cls) -> EditStudyConfig:
        """All arms."""
        return EditStudyConfig()

    def finished(self, seed: int) -> bool:
        """Whether reward models and arms were all judged."""
        part = self._part(seed, print)
        return all(part.outcome_file(name).exists() for name in ("quality", SFT, *self.settings.arms))

    def run_seed(self, seed: int, say: Say) -> None:
        """Does what is missing and says how good the reward models are."""
        part = self._part(seed, say)
        part.run()
        for model, figures in read_json(part.outcome_file("quality")).items():
            if isinstance(figures, dict) and "accuracy" in figures:
                accuracy = {name: round(value, 3) for name, value in figures["accuracy"].items()}
                areas = {name: round(noise["auroc"], 3) for name, noise in figures["localisation"].items()}
                say(f"{model}: accuracy {accuracy}, AUROC {areas}")

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> EditResults:  # noqa: ARG002
        """Joins outcomes and run folders."""
        return collect(self.place.output, self.settings, seeds, command=command)

    def pages(self, result: EditResults, say: Say, *, command: str) -> None:  # noqa: ARG002
        """The page, with its pictures beside it."""
        if self.place.docs:
            write_page(result, self.place.docs)
            say(f"The page is {self.place.docs}.")

    def _part(self, seed: int, say: Say) -> EditSeed:
        return EditSeed(self.settings, seed, self.place.output, say=say)
