"""Tries settings of the study on prompts and seeds of their own, so that its test prompts stay unseen.

    python -m experiments.sim_arms.tuning --seed 100 trainer.steps=20 weights.relevance=2.5

Trains the arms of one seed with the given settings of `SimStudyConfig` (`key=value`, dots reach into sections) and
prints what the oracle says on validation prompts, one line per arm. What was tried stands in docs/log.md.
"""

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spanwise.quickstart import FINE_GRAINED, PREFERENCE, SFT, STUDIES, SeedOutcome, SeedStudy, SimStudyConfig
from spanwise.rl.runtime import NoProgress

STUDY_SEEDS = range(5)
TRIED = {"arms": (SFT, PREFERENCE, FINE_GRAINED), "judged_split": "validation", "test_prompts": 300}


def main() -> None:
    """One seed with the given settings; prints a table."""
    options = _options()
    console = Console(width=120)
    config = _config(options.questions, options.settings)
    with tempfile.TemporaryDirectory() as folder:
        study = SeedStudy(config, options.seed, Path(folder), say=console.print)
        outcome = study.run(lambda _label, _steps: nullcontext(NoProgress()))
    _show(outcome, console)


def _config(questions: str, settings: list[str]) -> SimStudyConfig:
    with tempfile.TemporaryDirectory() as folder:
        STUDIES[questions].model_copy(update=TRIED).save(Path(folder) / "defaults.yaml")
        return SimStudyConfig.load(Path(folder) / "defaults.yaml", settings)


def _show(outcome: SeedOutcome, console: Console) -> None:
    for name, head in outcome.reward_models.items():
        figures = ", ".join(f"{key} {value:.3f}" for key, value in head.metrics.items() if value is not None)
        console.print(f"{name}: {figures}")
    names = list(outcome.tables[SFT])
    table = Table("arm", *names, box=None)
    for arm, scores in outcome.tables.items():
        table.add_row(arm, *(f"{scores[name].totals.sum() / scores[name].counts.sum():.3f}" for name in names))
    console.print(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--questions", choices=list(STUDIES), default="short", help="whose settings to start from")
    parser.add_argument("settings", nargs="*", help="key=value")
    options = parser.parse_args()
    if options.seed in STUDY_SEEDS:
        parser.error(f"--seed {options.seed} is one of the study's; take another")
    return options


if __name__ == "__main__":
    main()
