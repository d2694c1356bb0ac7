"""Upgrades that are cut off: the database stays what it was, and the next upgrade does the whole of it."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from doubles.annotation import World

from spanwise.annotate.store import upkeep
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.upkeep import check, upgrade

NEXT = '''
"""A step that makes a table, moves words, and is killed where CUT says so."""
import os, signal
from alembic import op
revision, down_revision = "0009", "0002"
def cut(where):
    if os.environ.get("CUT") == where:
        os.kill(os.getpid(), signal.SIGKILL)
def upgrade():
    cut("before")
    op.get_bind().exec_driver_sql("CREATE TABLE later (id INTEGER PRIMARY KEY, word TEXT NOT NULL)")
    cut("between")
    op.get_bind().exec_driver_sql("INSERT INTO later (word) SELECT slug FROM project")
    op.get_bind().exec_driver_sql("DELETE FROM slot")
    cut("behind")
'''

RUN = """
import os, sys
from pathlib import Path
from spanwise.annotate.store import upkeep
from spanwise.annotate.store.database import Database, sqlite_url
whole = upkeep._alembic
def extended():
    config = whole()
    first = str(Path(upkeep.__file__).parent / "migrations" / "versions")
    config.set_main_option("version_locations", os.pathsep.join([first, sys.argv[2]]))
    return config
upkeep._alembic = extended
base = Database(sqlite_url(sys.argv[1]))
print(upkeep.upgrade(base).model_dump_json())
base.close()
"""


def _upgrade(path: Path, steps: Path, cut: str = "") -> subprocess.CompletedProcess[str]:
    """An upgrade by a Spanwise that has one more step, in a process of its own."""
    command = [sys.executable, "-c", RUN, str(path), str(steps)]
    return subprocess.run(
        command, env=os.environ | {"CUT": cut}, capture_output=True, text=True, timeout=200, check=False
    )


def _all(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table."""
    with sqlite3.connect(path) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        found = {name: raw.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    raw.close()
    return found


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """A folder with the step that a later release would bring."""
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "0009_later.py").write_text(NEXT)
    return folder


def test_an_upgrade_that_is_killed_leaves_the_database_as_it_was(tmp_path, steps):
    path = tmp_path / "a.db"
    base = Database(sqlite_url(path))
    upgrade(base)
    base.close()
    made = World(sqlite_url(path))
    made.items(2)
    made.submit("ann", made.claim())
    made.close()
    before = _all(path)
    for cut in ("before", "between", "behind"):
        done = _upgrade(path, steps, cut)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert _all(path) == before, cut
        base = Database(sqlite_url(path))
        assert check(base).ok
        base.close()
    assert all(_all(copy) == before for copy in tmp_path.glob("a.db.before-0009-*.bak"))
    done = _upgrade(path, steps)
    assert done.returncode == 0, done.stderr
    after = _all(path)
    assert [word for _, word in after["later"]] == [row[1] for row in before["project"]]
    assert after["alembic_version"] == [("0009",)]
    assert len(list(tmp_path.glob("a.db.before-0009-*.bak"))) <= upkeep.KEPT_BACKUPS
    assert not list(tmp_path.glob(".a.db.before-*.part"))


def test_a_copy_that_was_cut_off_is_swept_away_and_made_again(tmp_path, steps):
    path = tmp_path / "a.db"
    base = Database(sqlite_url(path))
    upgrade(base)
    base.close()
    (tmp_path / ".a.db.before-0009-x.bak.part").write_bytes(b"half a copy")
    assert _upgrade(path, steps).returncode == 0
    assert not list(tmp_path.glob(".a.db.before-*.part"))
    (copy,) = tmp_path.glob("a.db.before-0009-*.bak")
    assert _all(copy)["alembic_version"] == [("0002",)]


def test_many_that_upgrade_at_once_do_it_once(tmp_path):
    def one(_: int) -> str:
        base = Database(sqlite_url(tmp_path / "a.db"))
        try:
            return upgrade(base).after
        finally:
            base.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(one, range(6)))) == 1
    base = Database(sqlite_url(tmp_path / "a.db"))
    assert check(base).ok
    base.close()
