"""The one way to run a study: seeds that are done are skipped, what is missing is done, then its pages are written.

    python -m experiments.run --list
    python -m experiments.run sim_arms --seeds 0 1 --docs docs/results/sim_arms.md trainer.steps=8

`NAME --help` shows the settings of a study, given as key=value. `make study NAME=... SEEDS="0 1" ARGS="..."` sets up
first. A study is a `lib.study.Study` in a folder of its own and an entry of STUDIES here.
"""

import argparse
import importlib
import multiprocessing
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.lib.study import Place, Study
from spanwise.core import ConfigError, DataError, SpanwiseError, field_rows

DATA = Path("../shared/data")


@dataclass(frozen=True)
class Entry:
    """A study in the table: its class as module:name, what it shows, how long it takes, what it makes and needs."""

    study: str
    sentence: str
    minutes: int
    page: str
    data: str = ""
    """Folder of the data set below DATA; empty where the world is simulated."""

    def load(self) -> type[Study[Any, Any]]:
        """The study's class."""
        module, _, name = self.study.partition(":")
        return getattr(importlib.import_module(f"experiments.{module}"), name)


STUDIES = {
    "sim_arms": Entry(
        "sim_arms.study:SimArms", "SFT, preference and fine-grained RLHF, and its ablations.", 43,
        "docs/results/sim_arms.md",
    ),
    "minutes": Entry(
        "minutes.study:Minutes", "Marks, preferences, edits and both for the same minutes, at three budgets.", 300,
        "docs/results/minutes.md",
    ),
    "edits": Entry(
        "edits.study:Edits", "Token rewards from edits against sequence rewards.", 91, "docs/results/edits.md"
    ),
    "edits_tuning": Entry(
        "edits.tuning:Tuning", "Which losses of token reward models find changed tokens best.", 5, "lines alone"
    ),
    "qa_feedback": Entry(
        "qa_feedback.study:QaFeedback", "Four reward models on real marks, out of fold.", 10, "table.md",
        data="qa_feedback",
    ),
    "corrections": Entry(
        "corrections.study:Corrections", "What human corrections and marked spans teach about each other.", 8,
        "docs/results/corrections.md", data="qa_feedback",
    ),
    "post_edits": Entry(
        "post_edits.study:PostEdits", "Token rewards from post-edited translations.", 20, "docs/results/post_edits.md",
        data="mlqe_pe",
    ),
    "detox": Entry(
        "detox.study:Detox", "Holistic against fine-grained rewards on toxicity.", 45, "docs/results/detox.md",
        data=".",
    ),
    "customisation": Entry(
        "customisation.study:Customisation", "One dial turned by a sweep, one conditioned policy, and soups.", 95,
        "docs/results/customisation.md",
    ),
    "overoptimisation": Entry(
        "overoptimisation.study:Overoptimisation", "Long runs at three KL coefficients, judged by the oracle.", 60,
        "overoptimisation.html",
    ),
    "baselines": Entry(
        "baselines.study:Baselines", "RRHF, FIGA, DPO and others for the same minutes, without rewards in a loop.", 60,
        "docs/results/baselines.md",
    ),
    "reward_sources": Entry(
        "reward_sources.study:RewardSources", "Which reward sources know where an answer is wrong, and what they cost.",
        25, "docs/results/reward_sources.md", data="qa_feedback",
    ),
    "annotators": Entry(
        "annotators.study:Annotators", "Soft labels against majority vote where some annotators mark by chance.", 10,
        "docs/results/annotators.md",
    ),
    "robustness": Entry(
        "robustness.study:RobustnessStudy", "Arms of sim_arms under changed prompts, its rewards on spoilt answers.",
        15, "docs/results/robustness.md",
    ),
    "paper_defects": Entry(
        "paper_defects.study:PaperDefects", "What each defect of the code of Wu et al. 2023 does to a policy.", 30,
        "paper_defects.md",
    ),
}  # fmt: skip
"""Minutes are those of all seeds on one core, as the pages give them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a study; returns 0, or 2 with one sentence on stderr where the user can mend something."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = [word for word in words if re.match(r"[A-Za-z_][\w.]*=", word)]
    options = _parser().parse_args([word for word in words if word not in settings])
    try:
        if options.list:
            print(_listing())
        elif options.help or not options.name:
            print(_help(options.name))
        else:
            _run(options, settings)
    except SpanwiseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace, settings: list[str]) -> None:
    entry = _entry(options.name)
    data: Path = options.data or DATA / entry.data
    if entry.data and not data.exists():
        raise DataError(f"{data} is absent; name the folder of the data with --data.")
    output: Path = options.output or Path("runs") / options.name
    kind = entry.load()
    _use_threads(options.threads or kind.threads)
    place = Place(output, data, options.docs, options.readme)
    study = kind(kind.configured(settings, output, tiny=options.tiny), place)
    seeds = _seeds(options, kind)
    if not options.only_report:
        _run_seeds(study, [seed for seed in seeds if not study.finished(seed)], options.jobs, options.threads)
    done = [seed for seed in seeds if study.finished(seed)]
    if seeds and not done:
        raise DataError(f"{output}: no seed is finished; run without --only-report.")
    command = _command(options, done, settings)
    say = _teller("")
    study.pages(study.summarise(done, say, command=command), say, command=command)


def _run_seeds(study: Study[Any, Any], seeds: Sequence[int], jobs: int, threads: int) -> None:
    """One seed after the other, or `jobs` at a time, each in a process with one thread unless told otherwise."""
    if jobs == 1 or len(seeds) < 2:
        for seed in seeds:
            study.run_seed(seed, _teller(f"seed {seed} "))
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for work in [pool.submit(_run_apart, study, seed, threads or 1) for seed in seeds]:
            work.result()


def _run_apart(study: Study[Any, Any], seed: int, threads: int) -> None:
    _use_threads(threads)
    study.run_seed(seed, _teller(f"seed {seed} "))


def _seeds(options: argparse.Namespace, kind: type[Study[Any, Any]]) -> tuple[int, ...]:
    if options.seeds and not kind.seeds:
        raise ConfigError(f"{options.name} is one run; leave --seeds out and give its seed as a setting.")
    return tuple(options.seeds or kind.seeds)


def _command(options: argparse.Namespace, seeds: Sequence[int], settings: Sequence[str]) -> str:
    """The command of the results at hand, as their pages name it."""
    parts = [f"python -m experiments.run {options.name}"]
    parts += [f"--seeds {' '.join(map(str, seeds))}"] if seeds else []
    parts += [f"--data {options.data}"] if options.data else []
    parts += [f"--docs {options.docs}"] if options.docs else []
    parts += ["--tiny"] if options.tiny else []
    return " ".join([*parts, *settings])


def _teller(prefix: str) -> Callable[[str], None]:
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{prefix}{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    return say


def _jobs(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seeds; give 1 or more.")
    return int(word)


def _use_threads(threads: int) -> None:
    if threads:
        torch = importlib.import_module("torch")  # only here: help and lists do without it
        torch.set_num_threads(threads)


def _entry(name: str) -> Entry:
    if name not in STUDIES:
        raise ConfigError(f"There is no study {name!r}; there are {', '.join(STUDIES)}.")
    return STUDIES[name]


def _listing() -> str:
    width = max(map(len, STUDIES))
    return "\n".join(
        f"{name:{width}}  {entry.sentence} About {entry.minutes} minutes; makes {entry.page}."
        + (f" Needs {DATA / entry.data}." if entry.data else "")
        for name, entry in STUDIES.items()
    )


def _help(name: str | None) -> str:
    if name is None:
        return f"{_parser().format_help()}\n{_listing()}"
    entry = _entry(name)
    kind = entry.load()
    defaults = kind.defaults()
    rows = [f"  {key} ({default})  {text}" for key, _, default, text in field_rows(type(defaults), defaults=defaults)]
    about = sys.modules[kind.__module__].__doc__ or ""
    return "\n".join([f"{name}: {entry.sentence}", "", about.strip(), "", "Settings, as key=value:", *rows])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.run", usage="%(prog)s NAME [options] [key=value ...]", add_help=False
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which study")
    parser.add_argument("--help", "-h", action="store_true", help="show this, or the settings of a study, and stop")
    parser.add_argument("--list", action="store_true", help="show the studies and stop")
    parser.add_argument("--seeds", type=int, nargs="+", help="seeds to run or report; the study's own where not given")
    parser.add_argument("--output", type=Path, help="folder for runs and results; runs/NAME where not given")
    parser.add_argument("--docs", type=Path, help="page in Markdown to write")
    parser.add_argument("--readme", type=Path, help="README whose table of results to renew (sim_arms)")
    parser.add_argument("--data", type=Path, help=f"folder of the data set; one below {DATA} where not given")
    parser.add_argument("--only-report", action="store_true", help="run no seed; make the pages from what is there")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--jobs", type=_jobs, default=1, help="seeds at a time, each in a process of its own")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; the study's own where not given")
    return parser


if __name__ == "__main__":
    sys.exit(main())
