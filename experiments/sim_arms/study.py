"""The study on the simulated world over several seeds: arms, ablation, and the page docs/results/sim_arms.md.

Settings are tried on other prompts and seeds than those of the results:
`--seeds 100 judged_split=validation test_prompts=300 arms=[sft,preference,fine-grained] KEY=VALUE`.
"""

from collections.abc import Sequence
from contextlib import nullcontext

from experiments.lib.pages import between
from experiments.lib.study import Say, Study
from experiments.sim_arms.page import readme_block, results_page
from spanwise.core import write_text
from spanwise.evals.report import verdict_sentences, write_report
from spanwise.evals.statistics import ExperimentResults
from spanwise.quickstart import STUDY, SeedStudy, SimStudyConfig, outcome_file, save_outcome, summarize
from spanwise.rl.runtime import NoProgress


class SimArms(Study[SimStudyConfig, ExperimentResults]):
    """Every arm of quickstart, with its ablations."""

    @classmethod
    def defaults(cls) -> SimStudyConfig:
        """All arms."""
        return STUDY

    def finished(self, seed: int) -> bool:
        """Whether the outcome of the seed is there."""
        return outcome_file(self.place.output, seed).exists()

    def run_seed(self, seed: int, say: Say) -> None:
        """All arms of the seed, into `<output>/outcomes/`."""
        study = SeedStudy(self.settings, seed, self.place.output, say=say)
        outcome = study.run(lambda _label, _steps: nullcontext(NoProgress()))
        save_outcome(self.place.output, seed, self.settings, outcome)

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> ExperimentResults:  # noqa: ARG002
        """Joins the outcomes."""
        title = "Arms on the simulated world"
        return summarize(self.place.output, self.settings, seeds, title=title, command=command)

    def pages(self, result: ExperimentResults, say: Say, *, command: str) -> None:  # noqa: ARG002
        """results.json, report.html, the page, and the table of the README."""
        result.save(self.place.output)
        write_report([self.place.output], self.place.output / "report.html")
        if self.place.docs:
            write_text(self.place.docs, results_page(result))
        if self.place.readme:
            text = between(self.place.readme.read_text(), "results", readme_block(result))
            write_text(self.place.readme, text)
        for sentence in verdict_sentences(result):
            say(sentence)
