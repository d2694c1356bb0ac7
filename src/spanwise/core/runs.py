"""The run folder: resolved config, metrics.jsonl, samples.jsonl, results.json, checkpoints.

A report is a function of these files alone. Metrics and samples are appended and flushed line by line, so
that a run can be watched and loses at most the line being written when it is killed.
"""

import contextlib
import json
import math
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, cast

from spanwise.core.config import Config
from spanwise.core.errors import DataError
from spanwise.core.files import read_lines, write_json, write_text
from spanwise.core.locks import take_lock


class RunFolder:
    """Writes one run's files under `path`; an existing folder is continued.

    The folder is made with its first file, so that a run which is refused before it begins leaves none. Raises
    DataError at once when there can be no folder at `path`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mended: set[str] = set()
        try:
            nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{path}: cannot be a run folder ({reason}); choose another path.") from error
        if not nearest.is_dir():
            raise DataError(f"{path}: cannot be a run folder ({nearest} is a file); choose another path.")

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """A block in which no other run writes here; raises DataError where one does already.

        The lock goes with the process, however it ends. On systems without locks there is none.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{self.path}: cannot be written ({reason}); choose another path.") from error
        with stream:
            if not take_lock(stream):
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise DataError(
                    f"{self.path}: another run (process {holder}) is writing here; wait for its end, stop it, or "
                    "choose another folder."
                )
            with contextlib.suppress(OSError):  # the number is for people; a full disk shows elsewhere
                stream.truncate(0)
                stream.write(str(os.getpid()))
                stream.flush()
            yield

    def save_config(self, config: Config) -> None:
        """Writes config.yaml with every default resolved."""
        config.save(self.path / "config.yaml")

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line to metrics.jsonl; a value that is not finite is written as null."""
        self._append("metrics.jsonl", step, metrics)

    def log_sample(self, step: int, sample: Mapping[str, Any]) -> None:
        """Appends one line to samples.jsonl: a response and whatever was measured on it, not finite as null."""
        self._append("samples.jsonl", step, sample)

    def save_results(self, results: Mapping[str, Any]) -> None:
        """Writes results.json beside-then-rename."""
        write_json(self.path / "results.json", dict(results))

    def rewind(self, step: int) -> None:
        """Drops the metrics and samples of later steps than `step`: the run goes on from there."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.path / name
            if path.exists():
                _drop_half_line(path)
                kept = [line for _, line in read_lines(path) if _step_of(line, path) <= step]
                write_text(path, b"".join(kept).decode("utf-8"))

    def checkpoint(self, name: str) -> Path:
        """The folder of checkpoint `name`."""
        return self.path / "checkpoints" / name

    def _append(self, name: str, step: int, values: Mapping[str, Any]) -> None:
        if "step" in values:
            raise ValueError('"step" is the name of the step itself; give the value another name')
        line = json.dumps({"step": step, **_plain(values)}, ensure_ascii=False, allow_nan=False)
        path = self.path / name
        if name not in self._mended:
            _drop_half_line(path)
            self._mended.add(name)
        # What UTF-8 cannot hold is written as the escape \\udXXX, which is how JSON spells it.
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(line + "\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{path}: cannot be written ({reason}); make room or choose another path.") from error


def _step_of(line: bytes, path: Path) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: holds a line that is no record of a step; the run cannot go on from it.") from error


def _plain(value: Any) -> Any:
    """The same in JSON's types: what is not finite becomes null, scalars of NumPy and torch become numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in cast("list[Any]", value)]
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _drop_half_line(path: Path) -> None:
    """Cuts off what a killed run left behind the last line break: the next line must stand by itself."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        end = stream.seek(0, 2)
        position, tail = end, b""
        while position and b"\n" not in tail:
            position = max(0, position - 65536)
            stream.seek(position)
            tail = stream.read(65536)
        stream.truncate(position + tail.rfind(b"\n") + 1)
