"""Results of benchmarks as files under benchmarks/results, with what a reader must know to make them again.

How ways of doing one thing are timed beside each other stands here, too.
"""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spanwise.core import write_json

RESULTS = Path(__file__).parent / "results"


def best(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least processor seconds of each way, all run in turn `rounds` times."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            found[name] = min(found[name], time.process_time() - start)
    return found


def record(name: str, command: str, found: dict[str, Any]) -> Path:
    """Writes benchmarks/results/<name>.json: `found`, the command, the machine and the date."""
    path = RESULTS / f"{name}.json"
    write_json(path, {"command": command, "date": datetime.now(UTC).date().isoformat(), **machine(), **found})
    return path


def machine() -> dict[str, Any]:
    """Processor, cores and versions."""
    return {
        "processor": _processor(),
        "instructions": [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in _flags()],
        "cores": len(os.sched_getaffinity(0)),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "commit": _commit(),
    }


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> set[str]:
    return set(_cpuinfo("flags").split())


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
