"""Upgrades that are cut off: the database stays what it was, and the next upgrade does the whole of it."""

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from doubles.annotation import World

from spanwise.annotate.store import upkeep
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.upkeep import check, upgrade

NEXT = '''
"""A step that makes a table, moves words, and is killed where CUT says so."""
import os, signal
from alembic import op
revision, down_revision = "0009", "0004"
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

OLD = [
    ("project", ("p", "slug", "Title", 1, "2026")),
    ("user_account", ("u", "ann", "ann", "ann", "annotator", None, None, "2026")),
    *(
        ("item", (i, "p", i, n, "?", "[]", "{}", 1, 0.0, 1, "normal", None, None, None))
        for n, i in enumerate(["i1", "i2"])
    ),
    ("slot", ("i1", 1, 0, "p", "normal", "leased", 0.0, 0, "u", "t", "2026", "2026", None, False)),
    ("slot", ("i1", 1, 1, "p", "normal", "open", 0.0, 0, None, None, None, None, None, False)),
    ("draft", ("i1", 1, "u", 3, "{}", "2026")),
]
"""Rows of a database at the first revision."""

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
    assert _all(copy)["alembic_version"] == [("0004",)]


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


def test_a_database_of_the_first_release_is_counted_and_keeps_its_drafts(tmp_path):
    """What was there before items had tallies is counted once, and from then on kept by the database itself."""
    base = Database(sqlite_url(tmp_path / "old.db"))
    config = upkeep._alembic()
    with base.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for table, values in OLD:
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    done = upgrade(base)
    assert (done.before, done.after) == ("0001", "0004")
    with base.read() as connection:
        tally = connection.exec_driver_sql("SELECT item_id, open, leased, submitted, skipped FROM tally ORDER BY 1")
        assert [tuple(row) for row in tally] == [("i1", 1, 1, 0, 0), ("i2", 0, 0, 0, 0)]
        assert connection.exec_driver_sql("SELECT rev, document, save_id FROM draft").one() == (3, "{}", None)
    with base.write() as connection:
        connection.exec_driver_sql("UPDATE slot SET state = 'submitted' WHERE state = 'leased'")
        connection.exec_driver_sql("DELETE FROM slot WHERE state = 'open'")
    with base.read() as connection:
        row = connection.exec_driver_sql("SELECT open, leased, submitted FROM tally WHERE item_id = 'i1'").one()
        assert tuple(row) == (0, 0, 1)
    base.close()
