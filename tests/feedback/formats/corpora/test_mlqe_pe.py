import io
import tarfile

import pytest

from spanwise.core.errors import DataError
from spanwise.feedback.formats.registry import read_edits

FILES = {
    "dev.mt": "a b\nc\n",
    "dev.pe": "a x\nc\n",
    "dev.src": "q r\ns\n",
    "dev.tags": "OK OK OK BAD OK\nOK OK OK\n",
    "dev.hter": "0.5\n0\n",
    "dev.src-mt.alignments": "0-0\n0-0\n",
}


def archive(path, files):
    with tarfile.open(path, "w:gz") as out:
        for name, text in files.items():
            info = tarfile.TarInfo(f"et-en-dev/{name}")
            info.size = len(text.encode())
            out.addfile(info, io.BytesIO(text.encode()))
    return path


def folder(path, files):
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_lines_become_pairs_with_their_tags(tmp_path, packed):
    path = archive(tmp_path / "et-en-dev.tar.gz", FILES) if packed else folder(tmp_path / "et-en-dev", FILES)
    first, second = read_edits(path, "mlqe-pe").records
    assert (first.prompt, first.original, first.edited, first.id) == ("q r", "a b", "a x", "et-en-dev-000000")
    assert first.provenance["tags"] == ["OK", "OK", "OK", "BAD", "OK"]
    assert (first.provenance["hter"], second.spans) == (0.5, ())


def test_bad_lines_are_named(tmp_path):
    files = FILES | {"dev.tags": "OK OK\nOK OK OK\n", "dev.hter": "0.5\nmuch\n"}
    result = read_edits(archive(tmp_path / "set.tar.gz", files), "mlqe-pe")
    assert not result.records
    assert [(problem.line, problem.field) for problem in result.problems] == [(1, "tags"), (2, "hter")]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"dev.mt": "a\n"}, r"holds no \*\.pe"),
        (FILES | {"dev.pe": "a\n"}, "different numbers of lines"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path, files, reason):
    with pytest.raises(DataError, match=reason):
        read_edits(archive(tmp_path / "set.tar.gz", files), "mlqe-pe")
    (tmp_path / "torn.tar.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(DataError, match="cannot be read as"):
        read_edits(tmp_path / "torn.tar.gz", "mlqe-pe")
