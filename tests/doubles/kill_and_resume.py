"""Trains a small policy over and over under SIGKILL until the run is done. Run by tests/faults/test_rl_faults.py.

A process of its own that imports torch once and forks for every attempt: a killed attempt takes nobody with it.
Usage: python -m doubles.kill_and_resume FOLDER
leaves FOLDER/unbroken, FOLDER/calls and FOLDER/times; prints how many were killed
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from doubles.rl_world import small_trainer

SETTINGS = {"steps": 4, "value_warmup_steps": 1, "training_states": {"every": 1}, "kl": {"target": 0.01, "horizon": 50}}


def attempt(folder: Path, *, kill_at_call: int | None = None, kill_after: float | None = None) -> bool:
    """One start of the same command; False when it was killed."""
    pid = os.fork()
    if pid == 0:
        if kill_at_call is not None:
            die_at_call(kill_at_call)
        small_trainer(folder, **SETTINGS).run(resume=True)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"an attempt failed with code {code}")
    return code == 0


def die_at_call(number: int) -> None:
    """Has this process killed in its `number`-th call that changes what a folder holds, half of them done already."""
    calls = 0

    def deadly(function):
        def called(*args, **options):
            nonlocal calls
            calls += 1
            if calls == number and number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **options)
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return called

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (os, "fsync"), (shutil, "rmtree")):
        setattr(owner, name, deadly(getattr(owner, name)))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    draw, killed = random.Random(7), 0
    start = time.perf_counter()
    attempt(folder / "unbroken")
    seconds = time.perf_counter() - start
    for number in range(1, 9):  # every attempt may get a little further than the one before
        killed += not attempt(folder / "calls", kill_at_call=draw.randint(1, 5 * number))
    attempt(folder / "calls")
    for _ in range(4):
        killed += not attempt(folder / "times", kill_after=draw.uniform(0.1, 0.7) * seconds)
    attempt(folder / "times")
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
