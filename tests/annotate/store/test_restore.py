"""Damage and the way back: what `db check` says of a damaged file, and what `db restore` puts in its place."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from doubles.annotation import World
from typer.testing import CliRunner

from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.refusals import DamageError
from spanwise.annotate.store.setup import DATA, open_project
from spanwise.annotate.store.upkeep import backup, check, restore
from spanwise.cli.annotate import app
from spanwise.cli.annotate_serve import alone
from spanwise.core.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with two items, one of them annotated, and a copy of it beside the database."""
    database, _ = open_project(tmp_path / "p", preset_name="qa-feedback")
    database.close()
    world = World(sqlite_url(tmp_path / "p" / DATA), real_time=True)
    world.items(40)
    world.submit("ann", world.claim())
    backup(world.database, tmp_path / "p" / "copy.db")
    world.claim()  # what happens after the copy
    world.close()
    return tmp_path / "p"


def _spoil(path: Path, *, keep: int = 0) -> None:
    """Writes nonsense over all but the first `keep` bytes, or over everything."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(keep)
        stream.write(b"\xa5" * (size - keep))


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["db", *map(str, arguments)])
    assert not isinstance(done.exception, sqlite3.Error), done.exception
    return done.exit_code, done.output


def test_check_says_what_of_a_damaged_file_can_be_saved(folder):
    assert _run("check", folder)[0] == 0
    size = (folder / DATA).stat().st_size
    _spoil(folder / DATA, keep=size // 2)
    code, said = _run("check", folder)
    assert code == 2
    assert "damaged" in said
    assert "rows can be read" in said
    assert f"db restore {folder} {folder / 'copy.db'}" in " ".join(said.split())
    _spoil(folder / DATA)
    code, said = _run("check", folder)
    assert code == 2
    assert "cannot be read as a database" in said
    database = Database(sqlite_url(folder / DATA))
    with pytest.raises(DamageError, match="db restore"), database.read() as connection:
        connection.exec_driver_sql("SELECT * FROM item")
    database.close()


def test_a_copy_comes_back_whatever_lies_beside_the_database(folder):
    live = Database(sqlite_url(folder / DATA))  # holds a write-ahead log open, as a server does
    with live.write() as connection:
        connection.exec_driver_sql("UPDATE item SET prompt = 'after the copy'")
    assert (folder / f"{DATA}-wal").stat().st_size > 0
    before = check(live).counts
    shutil.copy(folder / f"{DATA}-wal", folder / "log")
    live.close()
    shutil.copy(folder / "log", folder / f"{DATA}-wal")  # the server was killed: its log remains
    _spoil(folder / DATA, keep=200)
    code, said = _run("restore", folder, folder / "copy.db")
    assert code == 0, said
    assert "40 items" in said
    database, _ = open_project(folder)
    report = check(database)
    assert report.ok
    assert report.counts["annotation"] == before["annotation"] == 1
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM slot WHERE state = 'leased'").scalar_one() == 0
    database.close()
    assert list(folder.glob(f"{DATA}.replaced-*"))


def test_what_is_no_sound_copy_is_not_put_back(folder):
    world = Database(sqlite_url(folder / DATA))
    before = check(world).counts
    (folder / "text.db").write_text("no database")
    _spoil(folder / "copy.db", keep=5000)
    sqlite3.connect(folder / "foreign.db").execute("CREATE TABLE x (y)").connection.close()
    for name in ("text.db", "copy.db", "foreign.db", "none.db"):
        with pytest.raises(DataError, match="no sound copy"):
            restore(world, folder / name)
    assert check(world).counts == before
    world.close()


def test_a_served_project_is_not_restored(folder):
    with alone(folder), pytest.raises(ConfigError, match="stop it first"), alone(folder):
        pass
    assert not list(folder.glob(f"{DATA}.replaced-*"))


def test_a_damaged_database_is_not_copied_as_if_it_were_whole(folder):
    database = Database(sqlite_url(folder / DATA))
    database.close()
    _spoil(folder / DATA, keep=(folder / DATA).stat().st_size // 2)
    with pytest.raises(DataError, match="db check"):
        backup(database, folder / "second.db")
    assert not (folder / "second.db").exists()
    database.close()
