"""Reads the post-edited translations of mlqe-pe: a machine's sentence, what a person made of it, and the word tags.

A set is a folder or a .tar.gz of one that holds `*.mt`, `*.pe` and `*.src`, one sentence a line, and perhaps `*.tags`
(for a sentence of n words 2n + 1 tags: gap, word, gap, ...) and `*.hter`. The source is the prompt; tags and HTER go
to the provenance, as the test of what a model learns from the edits alone.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from spanwise.core import DataError, read_text
from spanwise.feedback.edits import Editor, EditPair, edit_pair
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import Place, Problem
from spanwise.text import unstorable

_REQUIRED = ("mt", "pe", "src")
_OPTIONAL = ("tags", "hter")


def read_pairs(path: Path, _reading: Reading) -> Iterator[Outcome[EditPair]]:
    """The pairs of the set at `path`; raises DataError when it is no such set."""
    name, columns = _columns(path)
    for line in range(len(columns["mt"])):
        row = {key: lines[line] for key, lines in columns.items()}
        place = Place(str(path), line + 1, row["mt"].encode(errors="surrogatepass"))
        problems = [Problem(place, *problem) for problem in _problems(row)]
        yield place, problems or _pair(row, name, line)


def _pair(row: dict[str, str], name: str, line: int) -> EditPair:
    provenance: dict[str, object] = {"format": "mlqe-pe", "set": name, "line": line}
    if "tags" in row:
        provenance["tags"] = row["tags"].split()
    if "hter" in row:
        provenance["hter"] = float(row["hter"])
    return edit_pair(
        row["mt"],
        row["pe"],
        id=f"{name}-{line:06d}",
        prompt=row["src"],
        editor=Editor(kind="human"),
        provenance=provenance,
    )


def _problems(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key in _REQUIRED:
        reason = unstorable(row[key])
        if reason:
            yield key, f"{reason}; remove it from the text."
    wanted = 2 * len(row["mt"].split()) + 1
    if "tags" in row and len(row["tags"].split()) != wanted:
        yield "tags", f"{len(row['tags'].split())} tags for {wanted // 2} words; there must be {wanted}."
    try:
        float(row.get("hter", "0"))
    except ValueError:
        yield "hter", f"must be a number (got {row['hter']!r:.40})."


def _columns(path: Path) -> tuple[str, dict[str, list[str]]]:
    texts = _folder(path) if path.is_dir() else _archive(path)
    columns: dict[str, list[str]] = {}
    name = path.name.removesuffix(".tar.gz")
    for file, text in texts.items():
        key = file.rpartition(".")[2]
        columns[key] = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    missing = [key for key in _REQUIRED if key not in columns]
    if missing:
        raise DataError(f"{path}: holds no *.{missing[0]}; give a folder or .tar.gz of mlqe-pe.")
    lengths = {key: len(lines) for key, lines in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path}: its files have different numbers of lines ({lengths}); fetch the set again.")
    return name, columns


def _wanted(file: str) -> bool:
    stem, _, key = file.rpartition(".")
    return key in (*_REQUIRED, *_OPTIONAL) and "." not in stem and not stem.startswith(".")


def _folder(path: Path) -> dict[str, str]:
    return {file.name: read_text(file) for file in sorted(path.iterdir()) if _wanted(file.name)}


def _archive(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = PurePosixPath(member.name).name
                stream = archive.extractfile(member) if member.isfile() and _wanted(file) else None
                if stream is not None:
                    texts[file] = stream.read().decode()
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a .tar.gz of mlqe-pe ({error}); check the path.") from error
    return texts
