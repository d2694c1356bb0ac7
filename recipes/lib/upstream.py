"""The files of others that a recipe reads: their names, where to get them, and whether what came is what was published.

A file of a Git repository is known by its blob id, which the repository's tree names; of a file that no tree names, the
first download is recorded in `SHA256SUMS` beside it, and another later is refused.
"""

import argparse
import gzip
import hashlib
import shutil
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import DataError, atomic_path

SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """One file: its upstream name below the recipe's data folder, its address, its Git blob id where one is known."""

    name: str
    address: str
    blob: str | None = None


def fetch_by_command(files: Sequence[UpstreamFile], about: str | None, whose: str) -> None:
    """The command of a recipe that gets its files into `--out`; `whose` ends the sentence that says they are there."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    options = parser.parse_args()
    fetch_all(files, options.out)
    print(f"{len(files)} files in {options.out} are those {whose}.")


def fetch_all(files: Sequence[UpstreamFile], folder: Path) -> None:
    """Downloads what is not there yet and checks all; DataError that names the first file that is another."""
    for file in files:
        path = folder / file.name
        if found(path) is None:
            print(f"{file.address} -> {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as beside:
                _download(file.address, beside)
        check(file, folder)


def _download(address: str, path: Path) -> None:
    with urllib.request.urlopen(address) as answer, path.open("wb") as stream:
        shutil.copyfileobj(answer, stream)


def check(file: UpstreamFile, folder: Path) -> None:
    """DataError where the file is not what upstream published, or not what came first."""
    path = found(folder / file.name)
    if path is None:
        raise DataError(f"{folder / file.name}: is not there; get it from {file.address}.")
    content = content_of(path)
    if file.blob is not None:
        if blob_id(content) != file.blob:
            raise DataError(f"{path}: is not the file that upstream published (blob {file.blob[:12]}); fetch it again.")
        return
    _remember(folder, file.name, hashlib.sha256(content).hexdigest())


def found(path: Path) -> Path | None:
    """The file, or the same compressed with gzip; None where neither is there."""
    return next((one for one in (path, path.with_name(f"{path.name}.gz")) if one.is_file()), None)


def content_of(path: Path) -> bytes:
    """What a file holds, decompressed."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def blob_id(content: bytes) -> str:
    """The id that Git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _remember(folder: Path, name: str, digest: str) -> None:
    sums = folder / SUMS
    known = dict(reversed(line.split("  ", 1)) for line in sums.read_text().splitlines()) if sums.is_file() else {}
    if known.setdefault(name, digest) != digest:
        raise DataError(
            f"{folder / name}: is another file than the one first downloaded; restore it, or remove {sums}."
        )
    sums.write_text("".join(f"{known[key]}  {key}\n" for key in sorted(known)))
