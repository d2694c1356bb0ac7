import errno
import gzip
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanwise.core import files as storage
from spanwise.core.errors import DataError
from spanwise.core.files import atomic_writer, read_json, read_lines, read_text, write_json, write_jsonl, write_text

storable = st.text(st.characters(exclude_categories=["Cs"]))
kept = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)


@kept
@given(storable, st.sampled_from(["a.txt", "a.txt.gz"]))
def test_text_comes_back_to_the_last_line_break(tmp_path, text, name):
    write_text(tmp_path / name, text)
    assert read_text(tmp_path / name) == text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@kept
@given(st.lists(st.dictionaries(storable, storable | st.integers() | st.none(), max_size=3), max_size=4))
def test_rows_come_back_one_per_line(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, rows) == len(rows)
    assert [(number, json.loads(line)) for number, line in read_lines(path)] == list(enumerate(rows, start=1))


def breaks_off(path, text, error):
    with atomic_writer(path) as stream:
        stream.write(text)
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_block_that_raises_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "deep" / "a.txt"
    with pytest.raises(error):
        breaks_off(path, "half", error)
    assert list(path.parent.iterdir()) == []
    write_text(path, "old")
    with pytest.raises(error):
        breaks_off(path, "new" * 100000, error)
    assert (path.read_text(), list(path.parent.iterdir())) == ("old", [path])


def test_the_file_is_absent_until_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_writer(path) as stream:
        stream.write("x")
        stream.flush()
        assert not path.exists()
    assert path.read_text() == "x"


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"
    texts = [letter * 200000 for letter in "abcd"]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_new_files_have_the_rights_that_the_user_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_equal_content_is_equal_archives(tmp_path):
    write_text(tmp_path / "a.gz", "same")
    write_text(tmp_path / "b.gz", "same")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"same"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
@pytest.mark.parametrize("write", [write_json, lambda path, value: write_jsonl(path, [1, value])])
def test_what_json_does_not_have_is_refused_and_nothing_written(tmp_path, value, write):
    with pytest.raises(DataError, match=r"a.json: cannot be written \(Out of range float values"):
        write(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


def test_text_that_utf8_does_not_have_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(DataError, match=r"a.txt: cannot be written \(lone surrogate U\+D800 in the text\)"):
        write_text(tmp_path / "a.txt", "good \ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a folder; name a file to write"):
        write_text(tmp_path, "x")
    with pytest.raises(DataError, match="is a folder; name a file to write"):
        write_text(Path(), "x")  # the folder here has no name
    with pytest.raises(DataError, match=r"file/below: cannot be written \(.*\); choose another path"):
        write_text(tmp_path / "file" / "below", "x")
    with pytest.raises(DataError, match="cannot be written"):
        write_text(tmp_path / ("long" * 100), "x")


def test_a_full_disk_is_one_sentence(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match=r"a.txt: cannot be written \(no space left on device\); make room"):
        breaks_off(tmp_path / "a.txt", "x", full)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_block_itself_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_writer(tmp_path / "a.txt"):
        (tmp_path / "absent").read_text()
    assert list(tmp_path.iterdir()) == []


def damaged(content: bytes) -> bytes:
    """An archive with bytes in its middle overwritten."""
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 64 + content[middle + 64 :]


ARCHIVE = gzip.compress(os.urandom(5000).hex().encode())


@pytest.mark.parametrize("content", [b"", b"plain", ARCHIVE[:-9], ARCHIVE[: len(ARCHIVE) // 2], damaged(ARCHIVE)])
@pytest.mark.parametrize("read", [read_text, read_json, lambda path: list(read_lines(path))])
def test_damaged_archives_are_one_sentence(tmp_path, content, read):
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    if content:
        with pytest.raises(DataError, match=r"a.gz: cannot be read \(.*\); check the path and the file"):
            read(path)
    else:
        assert list(read_lines(path)) == []  # an empty file is an archive of nothing


@pytest.mark.parametrize("read", [read_text, read_json, lambda path: list(read_lines(path))])
def test_folders_and_absent_files_are_one_sentence(tmp_path, read):
    with pytest.raises(DataError, match=r"cannot be read \(is a directory\)"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"cannot be read \(no such file or directory\)"):
        read(tmp_path / "absent")


def test_bytes_that_are_no_text_are_located(tmp_path):
    (tmp_path / "a").write_bytes(b"abc\xff")
    with pytest.raises(DataError, match="a: not UTF-8 at byte 3; convert the file"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": 1,\n "b": }', "2:7: not JSON"),
        ('{"a": 1}\n}', "2:1: not JSON"),
        ("{", "1:2: not JSON"),
        ('{"a": NaN}', "1:1: NaN is no JSON number"),
        ('{"a": 1, "a": 2}', "1:1: the key 'a' appears twice"),
        ("[" * 100000, "1:1: not usable JSON"),
    ],
)
def test_bad_json_is_located_by_line_and_column(tmp_path, text, where):
    (tmp_path / "a").write_text(text)
    with pytest.raises(DataError, match=f"a:{where}"):
        read_json(tmp_path / "a")


def test_line_numbers_count_blank_lines_and_only_line_feeds_part_lines(tmp_path):
    (tmp_path / "a").write_bytes("one\n\n \ntwo\u2028\x85\r\nthree".encode())
    found = [(number, line.decode()) for number, line in read_lines(tmp_path / "a")]
    assert found == [(1, "one\n"), (4, "two\u2028\x85\r\n"), (5, "three")]


def test_windows_is_asked_to_sync_only_files_opened_for_writing(tmp_path, monkeypatch):
    opened, real = {}, os.open

    def windows_open(path, flags, *more, **named):
        if os.path.isdir(path):  # noqa: PTH112 - as the system itself sees it
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        handle = real(path, flags, *more, **named)
        opened[handle] = flags
        return handle

    def windows_fsync(handle):
        if not opened[handle] & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(storage, "_WINDOWS", True)
    monkeypatch.setattr(os, "open", windows_open)
    monkeypatch.setattr(os, "fsync", windows_fsync)
    write_text(tmp_path / "a.txt", "whole")
    storage.sync(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "whole"
