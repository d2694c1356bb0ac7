"""Over-optimisation in the simulated world: one long PPO run per KL coefficient, judged by the oracle at every step.

    python -m experiments.overoptimisation.run --seeds 0 1 2 --out runs/overoptimisation

Each run leaves its answers to all held-out prompts in samples.jsonl; the page `overoptimisation.html` and
`findings.json` are made from the run folders alone (`--only-report` makes them again). A stopped experiment goes on.
"""

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from experiments.overoptimisation.gold import oracle_course
from spanwise.core import write_json, write_text
from spanwise.evals.pages import find_course, render_courses, verdict
from spanwise.evals.runs import Evaluated
from spanwise.quickstart import FINE_GRAINED, SimStudyConfig
from spanwise.rl import EvaluationConfig, KLConfig
from spanwise.rl.runtime import NoProgress
from spanwise.sim import make_items
from spanwise.sweeps import TrainingPlan, make_start

KL_COEFFICIENTS = (0.0, 0.05, 0.2)
STUDY = SimStudyConfig(arms=(FINE_GRAINED,), heldout_prompts=200)


def main() -> None:
    """Trains what is missing, reads all courses, writes findings and page."""
    options = _options()
    console = Console()
    for seed in options.seeds:
        if not options.only_report:
            _train(seed, options, console)
    found = [
        find_course(f"KL {coef:g}, seed {seed}", _course(options.out, coef, seed))
        for coef in KL_COEFFICIENTS
        for seed in options.seeds
        if (_folder(options.out, coef, seed) / "checkpoints" / "last").exists()
    ]
    if not found:
        raise SystemExit(f"{options.out}: no run is finished; run without --only-report.")
    write_json(options.out / "findings.json", {one.name: one.as_dict() for one in found})
    write_text(options.out / "overoptimisation.html", render_courses(found, "the oracle's true score"))
    for one in found:
        console.print(verdict(one), highlight=False)


def _train(seed: int, options: argparse.Namespace, console: Console) -> None:
    begin = time.monotonic()

    def say(text: str) -> None:
        console.print(f"seed {seed} {time.monotonic() - begin:6.0f} s  {text}", highlight=False)

    for coef in KL_COEFFICIENTS:
        trainer = STUDY.trainer.model_copy(
            update={
                "kl": KLConfig(coef=coef),
                "evaluation": EvaluationConfig(
                    every=max(1, options.steps // 12),
                    decoding="sample",
                    max_prompts=STUDY.heldout_prompts,
                    logged_samples=STUDY.heldout_prompts,
                ),
            }
        )
        # The start does not depend on how PPO goes on, so that all coefficients share it.
        start = make_start(STUDY, seed, options.out / "start", say=say)
        config = STUDY.model_copy(update={"trainer": trainer})
        say(f"KL coefficient {coef:g}, {options.steps} steps")
        plan = TrainingPlan(watch=lambda _steps: nullcontext(NoProgress()), steps=options.steps)
        run = start.with_config(config)
        run.train(_folder(options.out, coef, seed), start.rewards.sources(), start.mixture, plan=plan)


def _course(out: Path, coef: float, seed: int) -> list[Evaluated]:
    return oracle_course(_folder(out, coef, seed), make_items(STUDY.heldout_prompts, seed=seed, split="rl-heldout"))


def _folder(out: Path, coef: float, seed: int) -> Path:
    return out / f"kl-{coef:g}" / f"seed-{seed}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60, help="PPO steps of each run")
    parser.add_argument("--out", type=Path, default=Path("runs/overoptimisation"))
    parser.add_argument("--only-report", action="store_true", help="make findings and page again from the run folders")
    return parser.parse_args()


if __name__ == "__main__":
    main()
