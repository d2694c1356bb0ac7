"""Customisation in the simulated world: a sweep over the weight of relevance, one conditioned policy, and soups.

    python -m experiments.customisation.run --seeds 0 1 2 3 4 --docs docs/customisation_results.md

Every setting leaves its scores in `<out>/<setting>/seed-<n>/`; an experiment that was stopped goes on with what is
missing, inside a run from its newest training state. `--only-report` makes results, page and dial again from the
folders. `--smoke` takes tiny sizes that say nothing and end in about a minute.
"""

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from experiments.customisation.page import customisation_page
from experiments.customisation.results import finished, keep_config, summarize_custom
from experiments.customisation.study import CustomConfig, CustomSeed
from spanwise.core import write_text
from spanwise.evals.pages import write_trade_off
from spanwise.evals.report import write_report
from spanwise.models import Sampling
from spanwise.reward_models import FittingConfig
from spanwise.rl import RolloutConfig
from spanwise.rl.runtime import NoProgress
from spanwise.training import SFTConfig

CONFIG = CustomConfig()


def main() -> None:
    """Trains and measures what is missing, joins the finished seeds, writes results, pages and the dial."""
    options = _options()
    console = Console()
    config = _smoke(CONFIG) if options.smoke else CONFIG
    keep_config(options.out, config)
    for seed in options.seeds:
        if not options.only_report and not finished(options.out, config, seed):
            _run_seed(config, seed, options.out, console)
    seeds = [seed for seed in options.seeds if finished(options.out, config, seed)]
    if not seeds:
        raise SystemExit(f"{options.out}: no seed is finished; run without --only-report.")
    command = f"python -m experiments.customisation.run --seeds {' '.join(map(str, seeds))}"
    results, plan = summarize_custom(options.out, config, seeds, command=command)
    write_trade_off(options.out, options.out / "customisation.html")
    write_report([options.out], options.out / "report.html")
    if options.docs:
        write_text(options.docs, customisation_page(results, plan))
    console.print(f"Seeds {seeds}: {options.out / 'customisation.html'}", highlight=False)


def _run_seed(config: CustomConfig, seed: int, out: Path, console: Console) -> None:
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(f"seed {seed} {time.monotonic() - start:6.0f} s  {text}", highlight=False)

    CustomSeed(config, seed, out, say=say, watch=lambda _steps: nullcontext(NoProgress())).run()
    say("done")


def _smoke(config: CustomConfig) -> CustomConfig:
    study = config.study
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
        "feedback_prompts": 24,
        "rl_prompts": 8,
        "heldout_prompts": 4,
        "test_prompts": 12,
        "sampling": Sampling(max_new_tokens=48),
        "sft": SFTConfig(epochs=1, learning_rate=1e-4),
        "fitting": FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
        "trainer": trainer,
    }
    return CustomConfig(study=study.model_copy(update=sizes), weights=(0.5, 3.0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/customisation"))
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write")
    parser.add_argument("--only-report", action="store_true", help="make results and pages again from the folders")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
