"""Imports happen whole or not at all, hold nobody up, and cost little."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from doubles.annotation import World
from sqlalchemy import event

from spanwise.annotate.exchange import imports
from spanwise.annotate.exchange.imports import import_file, list_batches
from spanwise.annotate.manage.listing import list_items
from spanwise.annotate.store.upkeep import check
from spanwise.core.errors import SpanwiseError

KILLED = """
import os, signal, sys
from pathlib import Path
from spanwise.annotate.exchange import imports
from spanwise.annotate.store.database import Database
from spanwise.annotate.store.setup import register
from spanwise.annotate.store.project import preset
base = Database(sys.argv[1])
project = register(base, preset("qa-feedback").model_copy(update={"tasks": ("spans",)}))
name = sys.argv[3]
whole = getattr(imports._Intake, name)
seen = 0
def dies(self, *given):
    global seen
    seen += 1
    if seen == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *given)
setattr(imports._Intake, name, dies)
imports.import_file(base, project, Path(sys.argv[2]), "spanwise")
"""


def _file(path, count: int):
    rows = [
        {"id": f"i{n}", "prompt": f"Question {n}?", "responses": [{"text": f"Answer {n} is so. And more, as it is."}]}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("moment", ["prepared", "_store"])
def test_an_import_that_is_killed_has_imported_nothing(world, tmp_path, moment):
    path = _file(tmp_path / "in.jsonl", 4 * imports._AT_ONCE)
    command = [sys.executable, "-c", KILLED, world.database.url, str(path), moment]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list_items(world.database, world.project).total == 0
    assert list_batches(world.database, world.project) == []
    assert check(world.database).ok
    report = import_file(world.database, world.project, path, "spanwise")
    assert (report.items, report.rejected) == (4 * imports._AT_ONCE, 0)
    assert check(world.database).ok


def test_nothing_of_an_import_is_seen_before_all_of_it(world, tmp_path, monkeypatch):
    path = _file(tmp_path / "in.jsonl", 3 * imports._AT_ONCE)
    whole, seen = imports._Intake._store, []

    def looks(self, *given):
        seen.append(list_items(world.database, world.project).total)
        return whole(self, *given)

    monkeypatch.setattr(imports._Intake, "_store", looks)
    import_file(world.database, world.project, path, "spanwise")
    assert seen == [0, 0, 0]
    assert list_items(world.database, world.project).total == 3 * imports._AT_ONCE


def test_others_write_while_a_file_is_read(world, tmp_path, monkeypatch):
    path = _file(tmp_path / "in.jsonl", 2 * imports._AT_ONCE)
    world.items(3)
    whole, errors = imports._Intake._checked, []
    once = threading.Event()

    def slow(self, *given):
        if not once.is_set():
            once.set()
            world.database.patience = 1
            try:
                world.submit("ann", world.claim())
            except SpanwiseError as error:
                errors.append(error)
        return whole(self, *given)

    monkeypatch.setattr(imports._Intake, "_checked", slow)
    report = import_file(world.database, world.project, path, "spanwise")
    assert (report.items, errors) == (2 * imports._AT_ONCE, [])


def test_the_same_id_twice_in_one_piece_is_one_item_or_a_refusal(world, tmp_path):
    def row(name, text, annotator):
        response = {"text": text, "marked": True}
        told = {"annotation": {"item": "one"}}
        return {"id": name, "prompt": "?", "responses": [response], "annotator": annotator, "provenance": told}

    rows = [row("one#a", "So.", "a"), row("one#b", "So.", "b"), row("one#c", "Not so.", "c")]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    report = import_file(world.database, world.project, path, "spanwise")
    assert (report.items, report.annotations, report.rejected) == (1, 2, 1)
    assert [problem.line for problem in report.problems] == [3]
    again = import_file(world.database, world.project, path, "spanwise")
    assert (again.items, again.annotations, again.duplicates, again.rejected) == (0, 0, 2, 1)


def test_an_import_asks_the_database_little(world: World, tmp_path):
    """Statements per record, which is what an import's time is made of: many rows go with one."""
    said: list[str] = []
    event.listen(
        world.database.engine, "before_cursor_execute", lambda c, cursor, statement, *_: said.append(statement)
    )
    count = 4 * imports._AT_ONCE
    import_file(world.database, world.project, _file(tmp_path / "in.jsonl", count), "spanwise")
    assert len(said) < count / 10
