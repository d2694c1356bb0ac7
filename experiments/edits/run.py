"""The study of edits on the simulated world: reward models, arms, and the page docs/edits_results.md.

    python -m experiments.edits.run --seeds 0 1 2 3 4 --out runs/edit_arms --docs docs/edits_results.md

Each finished arm leaves its outcome in `<out>/seed-<n>/outcomes/` and is not run again; a study that was stopped goes
on where it was, within a PPO run too. `--only-report` makes the page from the outcomes at hand, `--only-quality` stops
each seed after its reward models. Settings are given as key=value, for example `trainer.steps=4`; they are chosen on
other seeds and splits than the results: `--seeds 100 --set split=tune-`.
"""

import argparse
import time
from pathlib import Path

from rich.console import Console

from experiments.edits.page import write_page
from experiments.edits.results import collect
from experiments.edits.study import EditSeed, EditStudyConfig
from spanwise.core import read_json


def main() -> None:
    """Runs what is missing, then writes the page."""
    options = _options()
    console = Console()
    config = _config(options)
    for seed in options.seeds if not options.only_report else []:
        _run(config, seed, options, console)
    if options.docs and not options.only_quality:
        more = f" --set {' '.join(options.set)}" if options.set else ""
        seeds = " ".join(map(str, options.seeds))
        command = f"python -m experiments.edits.run --seeds {seeds}{more} --docs docs/edits_results.md"
        write_page(collect(options.out, config, options.seeds, command=command), options.docs)
        console.print(f"The page is {options.docs}.")


def _run(config: EditStudyConfig, seed: int, options: argparse.Namespace, console: Console) -> None:
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(f"seed {seed} {time.monotonic() - start:6.0f} s  {text}", highlight=False)

    part = EditSeed(config, seed, options.out, say=say)
    part.run(only_quality=options.only_quality)
    for model, found in read_json(part.outcome_file("quality")).items():
        if isinstance(found, dict) and "accuracy" in found:
            accuracy = {name: round(value, 3) for name, value in found["accuracy"].items()}
            places = {name: round(own["auroc"], 3) for name, own in found["localisation"].items()}
            say(f"{model}: accuracy {accuracy}, AUROC {places}")
    say("done")


def _config(options: argparse.Namespace) -> EditStudyConfig:
    """The study's own settings, with those of the command line put over them."""
    defaults = options.out / "defaults.yaml"
    EditStudyConfig().save(defaults)
    return EditStudyConfig.load(defaults, options.set)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/edit_arms"))
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write, with its pictures beside it")
    parser.add_argument("--only-report", action="store_true", help="make the page again from stored outcomes")
    parser.add_argument("--only-quality", action="store_true", help="train and measure the reward models, no PPO")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings other than the defaults")
    return parser.parse_args()


if __name__ == "__main__":
    main()
