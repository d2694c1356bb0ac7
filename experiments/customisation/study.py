"""Customisation in the simulated world: a sweep over the weight of relevance, one conditioned policy, and soups.

Every setting leaves its scores in `<output>/<setting>/seed-<n>/`; a study that was stopped goes on with what is
missing, inside a run from its newest training state.
"""

from collections.abc import Sequence
from contextlib import nullcontext

from experiments.customisation.page import customisation_page, finished, keep_config, summarize_custom
from experiments.customisation.seed import CustomConfig, CustomSeed
from experiments.lib.study import Say, Study
from spanwise.core import write_text
from spanwise.evals.pages import write_trade_off
from spanwise.evals.report import write_report
from spanwise.evals.runs import TradeOff
from spanwise.evals.statistics import ExperimentResults
from spanwise.models import Sampling
from spanwise.quickstart import AnnotationConfig
from spanwise.reward_models import FittingConfig
from spanwise.rl import RolloutConfig
from spanwise.rl.runtime import NoProgress
from spanwise.training import SFTConfig

Results = tuple[ExperimentResults, TradeOff]


class Customisation(Study[CustomConfig, Results]):
    """Four ways to turn one dial, at equal compute."""

    @classmethod
    def defaults(cls) -> CustomConfig:
        """Five weights."""
        return CustomConfig()

    @classmethod
    def tiny(cls) -> CustomConfig:
        """Two weights, two steps, a dozen prompts."""
        study = CustomConfig().study
        trainer = study.trainer.model_copy(
            update={
                "steps": 2,
                "value_warmup_steps": 1,
                "rollout": RolloutConfig(prompts_per_step=2, samples_per_prompt=2),
                "update": study.trainer.update.model_copy(update={"epochs": 1, "minibatch_size": 4}),
            }
        )
        sizes = {
            "demonstrations": 24,
            "heldout_demonstrations": 4,
            "annotation": AnnotationConfig(minutes=144),
            "rl_prompts": 8,
            "heldout_prompts": 4,
            "test_prompts": 12,
            "sampling": Sampling(max_new_tokens=48),
            "sft": SFTConfig(epochs=1, learning_rate=1e-4),
            "fitting": FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
            "trainer": trainer,
        }
        return CustomConfig(study=study.model_copy(update=sizes), weights=(0.5, 3.0))

    def finished(self, seed: int) -> bool:
        """Whether every setting was measured."""
        return finished(self.place.output, self.settings, seed)

    def run_seed(self, seed: int, say: Say) -> None:
        """Trains and measures what is missing."""
        output = self.place.output
        keep_config(output, self.settings)
        CustomSeed(self.settings, seed, output, say=say, watch=lambda _steps: nullcontext(NoProgress())).run()

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> Results:  # noqa: ARG002
        """Joins the seeds and saves results.json and trade_off.json."""
        keep_config(self.place.output, self.settings)
        return summarize_custom(self.place.output, self.settings, seeds, command=command)

    def pages(self, result: Results, say: Say, *, command: str) -> None:  # noqa: ARG002
        """The dial, the report and the page."""
        output = self.place.output
        write_trade_off(output, output / "customisation.html")
        write_report([output], output / "report.html")
        if self.place.docs:
            write_text(self.place.docs, customisation_page(*result))
        say(f"The dial is {output / 'customisation.html'}.")
