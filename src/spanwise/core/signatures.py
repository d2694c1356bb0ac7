"""What a file is by its first bytes, where it is none of the text files that Spanwise reads.

Such a file must not be answered line by line: a pointer of Git LFS is no damaged JSON, and a workbook no text in a
wrong encoding. Knows nothing of what text files mean; `feedback.recognition` does that.
"""

import zipfile
from pathlib import Path

GZIP = b"\x1f\x8b"
_TO_JSONL = "to_json('rows.jsonl', orient='records', lines=True, force_ascii=False)"
_TABLE = "`spanwise feedback convert FILE marks.jsonl` makes feedback of its rows"
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer: the file itself was not downloaded",
        "get it with `git lfs pull`",
    ),
    b"version https://hawser.github.com/spec/": (
        "a Git LFS pointer: the file itself was not downloaded",
        "get it with `git lfs pull`",
    ),
    b"/annex/objects/": ("a git-annex pointer: the file itself was not downloaded", "get it with `git annex get`"),
}
_ENCODINGS = {
    b"\xff\xfe": ("text in UTF-16", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    b"\xfe\xff": ("text in UTF-16", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    b"\x00\x00\xfe\xff": ("text in UTF-32", "convert it with `iconv -f UTF-32 -t UTF-8`"),
}
_BINARY = {
    b"PAR1": ("a Parquet file", _TABLE),
    b"ARROW1": ("an Arrow file", f"write it as JSON lines with pandas.read_feather(FILE).{_TO_JSONL}"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as .xlsx, which is read as a table"),
    b"SQLite format 3\0": ("an SQLite database", "export the table that you need as JSON lines"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with `zstd -d`"),
    b"BZh": ("compressed with bzip2", "unpack it with `bunzip2`"),
    b"\xfd7zXZ\0": ("compressed with xz", "unpack it with `unxz`"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "unpack it and name a file of it"),
    b"\x93NUMPY": ("an array of NumPy", "Spanwise reads text records; write them as JSON lines"),
    b"\x89HDF": ("an HDF5 file", "Spanwise reads text records; write them as JSON lines"),
    b"\x80\x04\x95": ("a pickle of Python", "write its records as JSON lines"),
    b"\x89PNG": ("an image", "name a file of text records"),
    b"\xff\xd8\xff": ("an image", "name a file of text records"),
    b"%PDF-": ("a PDF document", "name a file of text records"),
}
_ZIPPED = {
    "xl/": ("an Excel workbook", _TABLE),
    "word/": ("a Word document", "save it as plain text in UTF-8"),
}


def foreign_content(head: bytes, path: Path) -> str | None:
    """What a file that begins with `head` is and what to do with it, in words; None where it may be text or gzip."""
    possible = _POINTERS | (_ENCODINGS if b"\0" in head else {}) | ({} if _is_text(head) else _BINARY)
    for start, words in possible.items():
        if head.startswith(start):
            return _sentence(*words)
    if head.startswith(b"PK\x03\x04"):
        return _sentence(*_archive(path))
    if head[257:262] == b"ustar":
        return _sentence("a tar archive", "unpack it with `tar -xf` and name a file of it")
    return None


def pointer_in(path: Path) -> str | None:
    """What the file at `path` is where it only points to one that was not downloaded, in words; None elsewhere."""
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError:
        return None
    return next((_sentence(*words) for start, words in _POINTERS.items() if head.startswith(start)), None)


def _sentence(what: str, remedy: str) -> str:
    return f"is {what}; {remedy}."


def _archive(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        names = []
    known = [words for start, words in _ZIPPED.items() if any(name.startswith(start) for name in names)]
    return known[0] if known else ("a zip archive", "unpack it and name a file of it")


def _is_text(head: bytes) -> bool:
    """Whether the bytes are text that happens to begin like a signature; a character may be cut at their end."""
    if b"\0" in head or head.startswith(b"%PDF-"):
        return False
    return not any(byte > 0x7F for byte in head) or _decodes(head)


def _decodes(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > 0 and len(head) - error.start < 4
    return True
