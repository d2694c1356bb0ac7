"""Freed memory stays with the process during a phase and leaves it at its end; kernels are few unless the user says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spanwise.training.host_memory import keep_freed_memory

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not os.confstr("CS_GNU_LIBC_VERSION"), reason="needs glibc's allocator"
)

PROGRAM = """
import torch
from pathlib import Path
from spanwise.training.host_memory import give_back_freed_memory, keep_freed_memory

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def with_and_after(megabytes):
    blocks = [bytearray(b'x') * (megabytes * 100_000) for _ in range(10)]
    held = resident_mb()
    blocks.clear()
    return held, resident_mb()

START
start = resident_mb()
held, after = with_and_after(400)
give_back_freed_memory()
print(start, held, after, resident_mb())
"""


def _megabytes(start: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("START", start)], check=True, capture_output=True, text=True
    )
    return [float(word) for word in done.stdout.split()]


def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    start, held, after, at_last = _megabytes("keep_freed_memory(torch.device('cpu'))")
    assert held > start + 390
    assert after > start + 390
    assert at_last < start + 40


def test_without_it_large_blocks_leave_at_once() -> None:
    start, held, after, _ = _megabytes("")
    assert held > start + 390
    assert after < start + 100


@pytest.mark.parametrize("said", [None, "7"])
def test_kernels_are_few_unless_the_user_says_how_many(said: str | None) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    environment = {key: value for key, value in os.environ.items() if key != name} | ({name: said} if said else {})
    program = (
        "import os, torch; from spanwise.training.host_memory import keep_freed_memory; "
        f"keep_freed_memory(torch.device('cpu')); print(os.environ['{name}'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.stdout.strip() == (said or "32")


def test_it_asks_for_nothing_where_models_are_on_another_device() -> None:
    assert not keep_freed_memory(torch.device("meta"))
