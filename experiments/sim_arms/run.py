"""The study on the simulated world over several seeds: arms, ablation, and the page docs/results.md.

    python -m experiments.sim_arms.run --seeds 0 1 2 3 4 --out runs/sim_arms --docs docs/results.md

Each seed leaves its outcome in `<out>/outcomes/`; a study that was stopped goes on with the seeds that are missing.
`--only-report` makes the page again from the outcomes at hand. `--questions long` asks for more facts at once.
"""

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from experiments.sim_arms.page import between, readme_block, results_page
from spanwise.core import write_text
from spanwise.evals.report import verdict_sentences, write_report
from spanwise.evals.statistics import ExperimentResults
from spanwise.quickstart import STUDIES, SeedStudy, SimStudyConfig, outcome_file, save_outcome, summarize
from spanwise.rl.runtime import NoProgress


def main() -> None:
    """Runs the seeds that are missing, joins all, writes results.json, report.html and the page."""
    options = _options()
    console = Console()
    config = STUDIES[options.questions]
    for seed in options.seeds:
        if not options.only_report and not outcome_file(options.out, seed).exists():
            _run_seed(config, seed, options.out, console)
    seeds = [seed for seed in options.seeds if outcome_file(options.out, seed).exists()]
    command = f"python -m experiments.sim_arms.run --seeds {' '.join(map(str, seeds))}"
    if options.questions != "short":
        command += f" --questions {options.questions}"
    results = summarize(options.out, config, seeds, title="Arms on the simulated world", command=command)
    _publish(results, options, console)


def _run_seed(config: SimStudyConfig, seed: int, out: Path, console: Console) -> None:
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(f"seed {seed} {time.monotonic() - start:6.0f} s  {text}", highlight=False)

    outcome = SeedStudy(config, seed, out, say=say).run(lambda _label, _steps: nullcontext(NoProgress()))
    save_outcome(out, seed, config, outcome)
    say("done")


def _publish(results: ExperimentResults, options: argparse.Namespace, console: Console) -> None:
    results.save(options.out)
    write_report([options.out], options.out / "report.html")
    if options.docs:
        write_text(options.docs, results_page(results))
    if options.readme:
        write_text(options.readme, between(options.readme.read_text(), "results", readme_block(results)))
    for sentence in verdict_sentences(results):
        console.print(sentence, highlight=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/sim_arms"))
    parser.add_argument("--questions", choices=list(STUDIES), default="short", help="how much each question asks for")
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write")
    parser.add_argument("--readme", type=Path, default=None, help="README whose table of results to renew")
    parser.add_argument("--only-report", action="store_true", help="make the page again from stored outcomes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
