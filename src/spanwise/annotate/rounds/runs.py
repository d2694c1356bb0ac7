"""Run folders to look at: which there are, their curves in as many points as a screen can show, their samples.

Reads what `spanwise.core.runs` writes, also while a run writes it: only whole lines count, and each file is read on
from where the last look ended. Runs are named by a hash of their place, never by a path. Changes nothing on the disk.
"""

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanwise.annotate.store import UnknownError
from spanwise.feedback import Record

METRICS, SAMPLES, CONFIG = "metrics.jsonl", "samples.jsonl", "config.yaml"
LIVE_SECONDS = 60
"""A run whose files changed within this time is at work."""
_DEPTH = 5
_KEEP = 5.0  # seconds that the list of folders holds
_MOST_CONFIG = 200_000


class RunRow(Record):
    """One run in the list."""

    id: str
    name: str
    """Its place under the folder of runs."""
    live: bool
    changed_at: float
    """Seconds since 1970."""
    steps: int
    last_step: int | None
    samples: int


class Series(Record):
    """One curve: for each bin the step, and the least and largest value in it (equal for single points)."""

    steps: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    mean: tuple[float | None, ...]
    total: int
    """How many points the file holds."""


class Curves(Record):
    """The curves of a run since a step."""

    id: str
    name: str
    live: bool
    last_step: int | None
    series: dict[str, Series]


@dataclass
class _Lines:
    """The whole lines of a growing file, read on from where the last look ended."""

    path: Path
    position: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> list[dict[str, Any]]:
        with self.lock:
            size = self.path.stat().st_size if self.path.exists() else 0
            if size < self.position:  # begun anew
                self.position, self.rows = 0, []
            if size > self.position:
                with self.path.open("rb") as stream:
                    stream.seek(self.position)
                    data = stream.read(size - self.position)
                whole = data.rfind(b"\n") + 1
                self.rows += [row for row in map(_row, data[:whole].splitlines()) if row is not None]
                self.position += whole
            return self.rows


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # a damaged line is left out; the others are shown
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


class RunIndex:
    """The runs below one folder; without a folder there are none."""

    def __init__(self, root: Path | None) -> None:
        self.root = root.resolve() if root else None
        self._folders: dict[str, Path] = {}
        self._looked = 0.0
        self._files: dict[Path, _Lines] = {}
        self._lock = threading.Lock()

    def rows(self) -> list[RunRow]:
        """All runs, the latest first."""
        rows = [self._run_row(run_id, folder) for run_id, folder in self._find().items()]
        return sorted(rows, key=lambda row: -row.changed_at)

    def row(self, run_id: str) -> RunRow:
        """One run; raises UnknownError."""
        return self._run_row(run_id, self._folder(run_id))

    def config(self, run_id: str) -> str:
        """The text of the run's configuration, empty where it has none."""
        path = self._folder(run_id) / CONFIG
        if not self._is_inside(path):
            return ""
        return path.read_bytes()[:_MOST_CONFIG].decode(errors="replace")

    def curves(self, run_id: str, *, after: int | None = None, bins: int = 400) -> Curves:
        """The run's curves in at most `bins` bins each, of steps behind `after` where that is given."""
        row = self.row(run_id)
        lines = self._lines(self._folder(run_id) / METRICS)
        points: dict[str, list[tuple[int, float | None]]] = {}
        for line in lines:
            if after is None or line["step"] > after:
                for name, value in line.items():
                    if name != "step" and (value is None or isinstance(value, (int, float))):
                        points.setdefault(name, []).append((line["step"], value))
        series = {name: binned(curve, bins) for name, curve in sorted(points.items())}
        return Curves(id=row.id, name=row.name, live=row.live, last_step=row.last_step, series=series)

    def samples(self, run_id: str) -> list[dict[str, Any]]:
        """What the run logged of its samples, in order."""
        return self._lines(self._folder(run_id) / SAMPLES)

    def _folder(self, run_id: str) -> Path:
        folder = self._find().get(run_id)
        if folder is None:
            raise UnknownError("There is no such run; it may have been moved.")
        return folder

    def _find(self) -> dict[str, Path]:
        with self._lock:
            if self.root is not None and time.monotonic() - self._looked > _KEEP:
                self._folders = {
                    _id(folder, self.root): folder for folder in _run_folders(self.root, self.root, _DEPTH)
                }
                self._looked = time.monotonic()
            return self._folders

    def _is_inside(self, path: Path) -> bool:
        """A file of ours: not one that a link somewhere on the way leads out of the root to."""
        return self.root is not None and path.is_file() and path.resolve().is_relative_to(self.root)

    def _lines(self, path: Path) -> list[dict[str, Any]]:
        if not self._is_inside(path):
            return []
        with self._lock:
            lines = self._files.setdefault(path, _Lines(path))
        return lines.read()

    def _run_row(self, run_id: str, folder: Path) -> RunRow:
        metrics = self._lines(folder / METRICS)
        changed = max(
            (path.stat().st_mtime for path in (folder / METRICS, folder / SAMPLES) if self._is_inside(path)),
            default=0.0,
        )
        return RunRow(
            id=run_id,
            name=folder.relative_to(self.root).as_posix() if self.root else folder.name,
            live=time.time() - changed < LIVE_SECONDS,
            changed_at=changed,
            steps=len(metrics),
            last_step=metrics[-1]["step"] if metrics else None,
            samples=len(self._lines(folder / SAMPLES)),
        )


def _id(folder: Path, root: Path) -> str:
    return hashlib.sha256(folder.relative_to(root).as_posix().encode()).hexdigest()[:12]


def _run_folders(folder: Path, root: Path, depth: int) -> list[Path]:
    """Folders with metrics at or below `folder`; links that lead out of `root` are not followed."""
    if not folder.resolve().is_relative_to(root) or not folder.is_dir():
        return []
    folders = [folder] if (folder / METRICS).is_file() and not (folder / METRICS).is_symlink() else []
    if depth:
        for inner in sorted(folder.iterdir()):
            if inner.is_dir() and not inner.is_symlink() and inner.name != "checkpoints":
                folders += _run_folders(inner, root, depth - 1)
    return folders


def binned(points: list[tuple[int, float | None]], bins: int) -> Series:
    """Neighbouring points joined, so that at most `bins` remain; peaks and dips stay as the largest and the least."""
    size = max(1, -(-len(points) // max(bins, 1)))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    real = [[value for _, value in group if value is not None] for group in groups]
    return Series(
        steps=tuple(group[-1][0] for group in groups),
        low=tuple(min(values, default=None) for values in real),
        high=tuple(max(values, default=None) for values in real),
        mean=tuple(sum(values) / len(values) if values else None for values in real),
        total=len(points),
    )
