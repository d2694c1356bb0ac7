"""CPU seconds and memory until a command helps or refuses: `--help`, an input that is not there, a wrong key.

    python benchmarks/command_start.py [WORDS ...] [--json]

Every command of the command line, or those that begin with WORDS ("reward train"), in a process of its own. A wrong
key is tried where a command takes a config, whose file holds what is required. Refusals must leave exit code 2.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from spanwise.cli import app

MISSING = "no/such"
"""A path at which nothing is."""
LINE = ["--prompts", f"{MISSING}.jsonl"]
ARGUMENTS: dict[str, list[str]] = {
    "evaluate over-optimisation": [f"{MISSING}/run", "--gold", f"{MISSING}/model", *LINE],
    "evaluate win-rate": ["--annotations", f"{MISSING}.json"],
    "annotate serve": [MISSING, "--preset", "nonsense"],
    "push": [MISSING, "me/model"],
}
"""Arguments where it is not enough to put a path that is not there in every required place."""
CONFIGS: dict[str, dict[str, Any]] = {
    "sft": {"policy": "p", "demonstrations": MISSING, "heldout": MISSING, "run_dir": "runs/a"},
    "dpo": {"policy": "p", "pairs": MISSING, "heldout": MISSING, "run_dir": "runs/a"},
    "rl": {
        "policy": "p",
        "prompts": MISSING,
        "heldout": MISSING,
        "run_dir": "runs/a",
        "reward_models": {"m": {"checkpoint": MISSING}},
        "mixture": {"sources": {"relevance": {}}},
    },
    "sweep": {"run_dir": "runs/a", "base": MISSING, "weights": {"relevance": [0.1, 0.2]}},
    "generate": {"policy": "p", "prompts": MISSING, "output": "runs/a.jsonl"},
    "evaluate answers": {"prompts": MISSING, "responses": MISSING},
    "reward train": {"data": [MISSING], "backbone": "b", "run_dir": "runs/a"},
    "reward evaluate": {"test": [MISSING], "backbone": "b", "run_dir": "runs/a"},
}
"""Configs that are whole but for the files that they name."""


@dataclass(frozen=True)
class Start:
    """What one call cost."""

    command: str
    asked: str
    exit_code: int
    cpu_s: float
    memory_mb: float


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by the words that call it; a group counts as one where it has a default command."""
    for name, inner in group.commands.items():
        path = (*words, name)
        if hasattr(inner, "commands"):
            yield from commands(inner, path)
        else:
            yield " ".join(path), inner


def calls(words: str, command: Any, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The calls to try: what is asked, and the arguments."""
    yield "--help", ["--help"]
    required = [p for p in command.params if p.param_type_name == "argument" and p.required]
    missing = ARGUMENTS.get(words, [f"{MISSING}.yaml" if p.name == "config" else MISSING for p in required])
    if missing:
        yield "wrong path", missing
    if words in CONFIGS:
        path = folder / f"{words.replace(' ', '-')}.yaml"
        path.write_text(yaml.safe_dump(CONFIGS[words]))
        yield "wrong path within", [str(path)]
        yield "wrong key", [str(path), "nonsense.key=1"]


def measure(words: str, asked: str, arguments: Sequence[str], folder: Path) -> Start:
    """Runs the command quietly in `folder`, so that what it writes goes away with it."""
    process = os.fork()
    if process == 0:
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # a command that serves or trains after all ends
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(quiet, stream)
        program = "from spanwise.cli import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", program, *words.split(), *arguments])
    _, status, usage = os.wait4(process, 0)
    cpu = usage.ru_utime + usage.ru_stime
    return Start(words, asked, os.waitstatus_to_exitcode(status), cpu, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="Only commands that begin so.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    options = parser.parse_args()
    only = " ".join(options.words)
    starts: list[Start] = []
    with tempfile.TemporaryDirectory() as name:
        for words, command in [*commands(typer.main.get_command(app))]:
            if words.startswith(only):
                starts += [
                    measure(words, asked, given, Path(name)) for asked, given in calls(words, command, Path(name))
                ]
    if options.json:
        print(json.dumps([asdict(start) for start in starts], indent=2))
        return
    table = Table("command", "asked", "exit", "CPU s", "MB")
    for start in starts:
        table.add_row(start.command, start.asked, str(start.exit_code), f"{start.cpu_s:.2f}", f"{start.memory_mb:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
