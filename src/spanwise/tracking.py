"""The run folder: resolved config, metrics.jsonl, samples.jsonl, results.json, checkpoints.

A report is a function of these files alone. Metrics and samples are appended and flushed line by line, so
that a run can be watched and loses at most the line being written when it is killed.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spanwise.config import Config
from spanwise.storage import write_json


class RunFolder:
    """Writes one run's files under `path`; an existing folder is continued."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def save_config(self, config: Config) -> None:
        """Writes config.yaml with every default resolved."""
        config.save(self.path / "config.yaml")

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line to metrics.jsonl; a value that is not finite is written as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._append("metrics.jsonl", {"step": step, **finite})

    def log_sample(self, step: int, sample: Mapping[str, Any]) -> None:
        """Appends one line to samples.jsonl: a response and whatever was measured on it."""
        self._append("samples.jsonl", {"step": step, **sample})

    def save_results(self, results: Mapping[str, Any]) -> None:
        """Writes results.json beside-then-rename."""
        write_json(self.path / "results.json", dict(results))

    def checkpoint(self, name: str) -> Path:
        """The folder of checkpoint `name`."""
        return self.path / "checkpoints" / name

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        with (self.path / name).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
