"""CPU seconds of a PPO step of the study on the simulated world: its former settings beside the present ones.

    OMP_NUM_THREADS=1 python benchmarks/study_step.py [--steps 6 | --episodes 3000] [--base FOLDER] [--only NAME]
                                                      [--json] [--record NAME]

Both sides train the base checkpoint of the simulated world on the oracle's rewards with this version of the code, one
step of each in turn; the first step warms up, the median of the others counts. CPU seconds, not seconds of the clock:
the machine may have other work. `former`: 16 prompts x 4 answers, two epochs, a value model of its own. `present`: 12
prompts x 8 answers, one epoch of three minibatches, the value head on the policy's states. With `--episodes` each side
learns from that many answers instead, and the table shows the mean reward of the answers to new prompts on the way.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recorded import record
from rich.console import Console
from rich.table import Table

from spanwise.core import RunFolder
from spanwise.models import Policy, Sampling
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight
from spanwise.rl import KLConfig, RolloutConfig, Trainer, TrainerConfig, TrainerParts, UpdateConfig
from spanwise.rl.algorithms import make_algorithm
from spanwise.sim import OracleSource, base_checkpoint, make_items
from spanwise.training import OptimizerConfig

PHASES = ("rollout", "text", "score", "reference", "update")
EIGHTHS = 8
SETTINGS: dict[str, dict[str, Any]] = {
    "former": {
        "rollout": RolloutConfig(prompts_per_step=16, samples_per_prompt=4),
        "kl": KLConfig(coef=0.03),
        "update": UpdateConfig(epochs=2, minibatch_size=32, micro_batch_size=32),
        "policy_optimizer": OptimizerConfig(learning_rate=3e-4),
        "value_optimizer": OptimizerConfig(learning_rate=1e-3),
    },
    "present": {
        "rollout": RolloutConfig(prompts_per_step=12, samples_per_prompt=8),
        "kl": KLConfig(coef=0.03),
        "update": UpdateConfig(epochs=1, minibatch_size=32, micro_batch_size=32),
        "policy_optimizer": OptimizerConfig(learning_rate=3e-4),
        "value_optimizer": OptimizerConfig(learning_rate=1e-3),
        "value_backbone": "policy",
    },
}


def make_trainer(name: str, base: str, folder: Path, *, steps: int, seed: int = 0) -> Trainer:
    """A trainer with the settings of one side."""
    config = TrainerConfig(
        seed=seed, steps=steps, value_warmup_steps=0, sampling=Sampling(max_new_tokens=80), **SETTINGS[name]
    )
    items = make_items(steps * config.rollout.prompts_per_step, seed=seed, split="rl")
    source = OracleSource(items)
    records = [item.record for item in items]
    parts = TrainerParts(
        policy=Policy.load(base),
        pipeline=RewardPipeline([source], MixtureConfig(sources={source.name: SourceWeight()})),
        prompts=records,
        heldout=records[:1],
        algorithm=make_algorithm(config),
    )
    return Trainer(config, parts, RunFolder(folder))


def measure(names: list[str], base: str, steps: int) -> dict[str, Any]:
    """By side: CPU milliseconds an answer, in all and by phase, and what the answers are like."""
    time.perf_counter = time.process_time  # the trainer's own clock reads CPU seconds now
    with tempfile.TemporaryDirectory() as folder:
        trainers = {name: make_trainer(name, base, Path(folder) / name, steps=steps) for name in names}
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for step in range(1, steps + 1):
            for name, trainer in trainers.items():
                rows[name].append(trainer.step(step))
    found = {name: _summary(rows[name][1:], trainers[name].config) for name in names}
    if len(found) == 2:
        former, present = (found[name]["ms_per_answer"]["step"] for name in names)
        return {"sides": found, "ratio": former / present}
    return {"sides": found}


def learn(names: list[str], base: str, episodes: int) -> dict[str, Any]:
    """By side: the mean reward of the answers within each eighth of the episodes, and the CPU seconds of all."""
    time.perf_counter = time.process_time
    curves: dict[str, Any] = {}
    for name in names:
        rollout: RolloutConfig = SETTINGS[name]["rollout"]
        steps = episodes // rollout.responses_per_step()
        with tempfile.TemporaryDirectory() as folder:
            trainer = make_trainer(name, base, Path(folder), steps=steps)
            rows = [trainer.step(step) for step in range(1, steps + 1)]
        parts = [rows[steps * k // EIGHTHS : steps * (k + 1) // EIGHTHS] for k in range(EIGHTHS)]
        curves[name] = {
            "episodes": steps * rollout.responses_per_step(),
            "cpu_s": sum(row["time/step_s"] for row in rows),
            "reward": [statistics.mean(row["reward/total"] for row in part) for part in parts],
            "kl": [statistics.mean(row["kl/response"] for row in part) for part in parts],
        }
        print(name, json.dumps(curves[name]), file=sys.stderr, flush=True)
    return {"curves": curves}


def _summary(rows: list[dict[str, float]], config: TrainerConfig) -> dict[str, Any]:
    answers = config.rollout.responses_per_step()
    names = [name for name in (*PHASES, "step") if all(f"time/{name}_s" in row for row in rows)]
    return {
        "answers": answers,
        "tokens_per_answer": statistics.mean(row["response/length"] for row in rows),
        "ms_per_answer": {n: 1e3 * statistics.median(row[f"time/{n}_s"] for row in rows) / answers for n in names},
    }


def show_curves(found: dict[str, Any]) -> None:
    """A table of mean rewards, one row a side."""
    table = Table(title="Mean reward of the answers in each eighth of the episodes")
    for name in ("settings", "episodes", "CPU seconds", *(str(k + 1) for k in range(EIGHTHS))):
        table.add_column(name)
    for name, side in found["curves"].items():
        rewards = [f"{reward:.2f}" for reward in side["reward"]]
        table.add_row(name, str(side["episodes"]), f"{side['cpu_s']:.0f}", *rewards)
    Console().print(table)


def show(found: dict[str, Any]) -> None:
    """A table, one row a side."""
    table = Table(title="CPU milliseconds an answer")
    for name in ("settings", "answers a step", "tokens an answer", *PHASES, "all"):
        table.add_column(name)
    for name, side in found["sides"].items():
        ms = side["ms_per_answer"]
        phases = [f"{ms.get(phase, 0.0):.1f}" for phase in (*PHASES, "step")]
        table.add_row(name, str(side["answers"]), f"{side['tokens_per_answer']:.0f}", *phases)
    Console().print(table)
    if "ratio" in found:
        print(f"answers per CPU second: {found['ratio']:.2f} times as many")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--episodes", type=int, default=0)
    parser.add_argument("--base", default=str(base_checkpoint()), help="folder of the policy to train")
    parser.add_argument("--only", choices=tuple(SETTINGS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps must be at least 2: the first step warms up")
    names = [options.only] if options.only else list(SETTINGS)
    found = (
        learn(names, options.base, options.episodes)
        if options.episodes
        else measure(names, options.base, options.steps)
    )
    if options.record:
        record(options.record, " ".join(["python", "benchmarks/study_step.py", *sys.argv[1:]]), found)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        (show_curves if options.episodes else show)(found)


if __name__ == "__main__":
    main()
