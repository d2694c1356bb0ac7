"""Files that are whole or absent: beside-then-rename writing, and line-by-line reading.

Knows nothing of what the files mean; `runs.py` and `feedback.files` give them meaning. Paths that end in `.gz` are
compressed on the way, gzipped content is decompressed whatever its name; equal content makes equal bytes. What is no
text at all is refused in one sentence that says what it is.
"""

import contextlib
import errno
import gzip
import io
import json
import os
import sys
import uuid
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from spanwise.core.errors import DataError
from spanwise.core.signatures import GZIP, foreign_content
from spanwise.core.strict_json import BadJSONError, parse

_WINDOWS = sys.platform == "win32"
_HEAD = 4096
"""How many bytes tell what a file is."""


@contextlib.contextmanager
def atomic_writer(path: Path) -> Generator[IO[str]]:
    """A text file that appears at `path` complete, or not at all when the block raises.

    Raises DataError when there can be no file at `path`, when the disk is full and for text that UTF-8 cannot hold.
    """
    with atomic_path(path) as beside:
        with _unwritable(path):
            stream = _open_new(beside, compressed=path.suffix == ".gz")
        with stream:
            yield stream


@contextlib.contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """A hidden path beside `path`, for another library to write a file at; what is there in the end replaces `path`.

    When the block raises, nothing is left. Raises DataError like `atomic_writer`.
    """
    with _unwritable(path):
        if path.is_dir():
            raise DataError(f"{path}: is a folder; name a file to write.")
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _full(path):
            yield beside
        with _unwritable(path):
            sync(beside)
            beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` beside-then-rename."""
    with atomic_writer(path) as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON; raises DataError for NaN and infinity, which JSON does not have."""
    write_text(path, _json(value, path, indent=2) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Writes one JSON value per line and returns how many; raises DataError like `write_json`."""
    count = 0
    with atomic_writer(path) as stream:
        for row in rows:
            count += 1
            stream.write(_json(row, path) + "\n")
    return count


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Writes one text a line, beside-then-rename, and returns how many."""
    count = 0
    with atomic_writer(path) as stream:
        for count, line in enumerate(lines, start=1):  # noqa: B007 - how many there were
            stream.write(line + "\n")
    return count


def sync(path: Path) -> None:
    """Has the system put the file at `path`, or the names in that folder, on disk; Windows does so for files only."""
    if _WINDOWS and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_readable(*paths: Path | None) -> None:
    """Opens every file that is named, so that a wrong path is refused before slow work; DataError as reading gives."""
    for path in paths:
        if path is not None:
            with _unreadable(path), path.open("rb"):
                pass


def read_text(path: Path) -> str:
    """The UTF-8 text of `path`, line breaks as they are; raises DataError in one sentence when there is none."""
    with _unreadable(path), _open_bytes(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert the file to UTF-8.") from error


def read_json(path: Path) -> Any:
    """The JSON value in `path`; raises DataError that names line and column."""
    text = read_text(path).removeprefix("\ufeff")
    try:
        return parse(text)
    except BadJSONError as error:
        line = text.count("\n", 0, error.index) + 1
        column = error.index - text.rfind("\n", 0, error.index)
        raise DataError(f"{path}:{line}:{column}: {error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (line number from 1, raw bytes) of the non-blank lines, so that one bad line spoils no other."""
    with _unreadable(path), _open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, line


@contextlib.contextmanager
def open_bytes(path: Path) -> Generator[IO[bytes]]:
    """The bytes of a text file, plain or gzipped; raises DataError like `read_text`."""
    with _unreadable(path), _open_bytes(path) as stream:
        yield stream


@contextlib.contextmanager
def _open_bytes(path: Path) -> Generator[IO[bytes]]:
    """The bytes of a plain or gzipped file; raises DataError in one sentence for content that is no text."""
    with path.open("rb") as stream:
        _refuse_foreign(stream.peek(_HEAD), path)
        if path.suffix != ".gz" and not stream.peek(2).startswith(GZIP):
            yield stream
            return
        with gzip.open(stream, "rb") as unpacked:
            _refuse_foreign(unpacked.peek(_HEAD), path)
            yield cast("IO[bytes]", unpacked)


def _refuse_foreign(head: bytes, path: Path) -> None:
    if (sentence := foreign_content(head[:_HEAD], path)) is not None:
        raise DataError(f"{path}: {sentence}")


def _open_new(path: Path, *, compressed: bool) -> IO[str]:
    binary = _Gzip(path) if compressed else path.open("xb")
    return io.TextIOWrapper(cast("IO[bytes]", binary), encoding="utf-8", newline="")


class _Gzip(gzip.GzipFile):
    """A new archive that holds neither name nor time: equal content is equal bytes, whenever and wherever written."""

    def __init__(self, path: Path) -> None:
        self._below = path.open("xb")
        super().__init__(filename="", mode="wb", fileobj=self._below, mtime=0)

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


@contextlib.contextmanager
def _unreadable(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)}); check the path and the file.") from error


@contextlib.contextmanager
def _unwritable(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({_reason(error)}); choose another path.") from error


@contextlib.contextmanager
def _full(path: Path) -> Generator[None]:
    """Only what writing itself raises: other errors of the caller's block are the caller's."""
    try:
        yield
    except UnicodeEncodeError as error:
        where = f"lone surrogate U+{ord(error.object[error.start]):04X}"
        raise DataError(f"{path}: cannot be written ({where} in the text); remove it.") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DataError(f"{path}: cannot be written ({_reason(error)}); make room or choose another path.") from error


def _json(value: Any, path: Path, indent: int | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError as error:
        raise DataError(f"{path}: cannot be written ({error}); mend the value or write null.") from error


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
