"""Files that are whole or absent: beside-then-rename writing, and line-by-line JSONL reading.

Knows nothing of what the files mean; `feedback.jsonl` and `tracking` give them meaning. Paths that end
in `.gz` are compressed and decompressed on the way.
"""

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from spanwise.errors import DataError


@contextlib.contextmanager
def atomic_writer(path: Path) -> Generator[IO[str]]:
    """A text file that appears at `path` complete, or not at all when the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    beside = Path(name)
    try:
        beside.chmod(0o666 & ~_umask())
        with open_text(beside, "wt", compressed=path.suffix == ".gz") as stream:
            yield stream
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` beside-then-rename."""
    with atomic_writer(path) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON; NaN and infinity are refused because JSON has no such numbers."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Writes one JSON value per line and returns how many."""
    count = 0
    with atomic_writer(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_text(path: Path) -> str:
    """The UTF-8 text of `path`; raises DataError in one sentence when that cannot be had."""
    try:
        with open_text(path, "rt", compressed=path.suffix == ".gz") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file to UTF-8.") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)}); check the path and the file.") from error


def read_json(path: Path) -> Any:
    """The JSON value in `path`; raises DataError that names line and column."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise DataError(f"{where}: not JSON ({error.msg}); mend or re-export the file.") from error


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (line number from 1, raw bytes) of the non-blank lines, so that one bad line spoils no other."""
    try:
        with _open_bytes(path) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)}); check the path and the file.") from error


def open_text(path: Path, mode: str, *, compressed: bool) -> IO[Any]:
    """Opens plain or gzipped UTF-8 text without newline translation."""
    if compressed:
        return cast("IO[Any]", gzip.open(path, mode, encoding="utf-8", newline=""))
    return path.open(mode, encoding="utf-8", newline="")


def _open_bytes(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
