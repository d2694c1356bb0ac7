"""What a disk can do to the database: be full, be read-only, lie on another machine, serve two servers."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from spanwise.annotate.people.logins import new_session
from spanwise.annotate.store import database as databases
from spanwise.annotate.store.database import Database, network_file_system, sqlite_url
from spanwise.annotate.store.refusals import StorageError
from spanwise.annotate.store.upkeep import check, upgrade
from spanwise.annotate.web.app import create_app
from spanwise.annotate.work.drafts import load_draft
from spanwise.cli.annotate_serve import _only_server

LONG = {"body": {"comment": "x" * 200_000}}

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:40 / /home rw shared:2 - nfs4 server:/home rw
31 30 0:41 / /home/me/local\040disk rw - xfs /dev/sdb rw
32 22 0:42 / /team rw master:1 shared:3 - cifs //server/team rw
33 22 0:43 / /twice rw - nfs server:/a rw
34 22 0:44 / /twice rw - ext4 /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/project/annotations.db", "nfs4"),
        ("/homes/annotations.db", None),
        ("/home/me/local disk/annotations.db", None),
        ("/team/annotations.db", "cifs"),
        ("/twice/annotations.db", None),
        ("/annotations.db", None),
    ],
)
def test_network_file_systems_are_known_by_where_they_are_mounted(tmp_path, path, kind):
    (tmp_path / "mounts").write_text(MOUNTS)
    assert network_file_system(Path(path), mounts=tmp_path / "mounts") == kind


def test_where_nobody_tells_there_is_no_network_file_system(tmp_path):
    assert network_file_system(tmp_path, mounts=tmp_path / "none") is None


def test_a_database_on_a_network_file_system_warns_and_does_without_shared_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "network_file_system", lambda path: "nfs4")
    with pytest.warns(UserWarning, match=r"network file system \(nfs4\)"):
        base = Database(sqlite_url(tmp_path / "a.db"))
    upgrade(base)
    with base.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    assert check(base).ok
    base.close()
    assert not list(tmp_path.glob("*-shm"))


def _limit(database: Database, pragma: str) -> None:
    """Gives every new connection a pragma, and starts over with new ones."""
    event.listen(database.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA {pragma}"))
    database.engine.dispose()


@pytest.mark.parametrize(("pragma", "said"), [("max_page_count=1", "disk is full"), ("query_only=1", "may not write")])
def test_a_disk_that_refuses_is_said_and_nothing_is_half_stored(world, pragma, said):
    if world.database.dialect != "sqlite":
        pytest.skip("a full disk is played with a pragma of SQLite")
    world.items(1)
    held = world.claim()
    world.save("ann", held, 0, {"body": {"comment": "kept"}})
    _limit(world.database, pragma)  # no file becomes smaller than it is; it grows no more
    with pytest.raises(StorageError, match=said):
        world.save("ann", held, 1, LONG)
    app = create_app(world.database, world.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    answer = http.post("/login", data={"name": "x" * 90, "password": "wrong " * 100})
    assert answer.status_code in (401, 507)  # a failed try needs little room
    kept = load_draft(world.database, world.user("ann"), held.item_id, held.round)
    assert (kept.rev, kept.document) == (1, {"body": {"comment": "kept"}})
    assert check(world.database).ok


def test_a_full_disk_is_told_to_the_page_in_a_sentence(world, caplog):
    if world.database.dialect != "sqlite":
        pytest.skip("a full disk is played with a pragma of SQLite")
    world.items(1)
    held = world.claim()
    app = create_app(world.database, world.project)
    http = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    http.cookies.set(http.app.state.site.cookie.name, new_session(world.database, world.user("ann")).token)
    _limit(world.database, "max_page_count=1")
    lease = {"round": held.round, "lease_token": held.lease_token}
    answer = http.put(f"/api/v1/items/{held.item_id}/draft", json=lease | {"base_rev": 0, "document": LONG})
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["detail"]
    assert "disk is full" in caplog.text  # whoever looks after the server reads it too
    assert "xxx" not in caplog.text


FILL = """
import sys
from pathlib import Path
from sqlalchemy import func, select
from doubles.annotation import World
from spanwise.annotate import tables
from spanwise.annotate.store.database import Database, sqlite_url
from spanwise.annotate.store.refusals import StorageError
from spanwise.annotate.store.upkeep import check, upgrade
url = sqlite_url(Path(sys.argv[1]) / "a.db")
base = Database(url)
upgrade(base)
base.close()
world = World(url, real_time=True)
done = refused = 0
world.items(400)
while not refused:
    try:
        held = world.claim()
        world.submit("ann", held, {"no_errors": ["r1"], "comment": "y" * 4000})
        done += 1
    except StorageError as error:
        refused += 1
        assert "disk is full" in str(error)
with world.database.read() as connection:
    stored = connection.execute(select(func.count()).select_from(tables.annotation)).scalar_one()
assert stored == done, (stored, done)
report = check(world.database)
assert report.ok, report
print("stored", done)
"""


@pytest.mark.slow
def test_a_really_full_disk_loses_nothing_that_was_acknowledged(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("a small disk of one's own needs unshare")
    command = f"mount -t tmpfs -o size=3m none '{tmp_path}' && exec '{sys.executable}' -c \"$FILL\" '{tmp_path}'"
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command],
        env=os.environ | {"FILL": FILL, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine lends no disk: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 0


def test_a_second_server_on_one_project_is_told_so(tmp_path, capsys):
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_server(tmp_path))
        assert "Another server" not in capsys.readouterr().err
        stack.enter_context(_only_server(tmp_path))  # it may go on
        assert "Another server works on" in capsys.readouterr().err
