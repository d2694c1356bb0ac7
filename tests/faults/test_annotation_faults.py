"""What must never happen to people's work, however many race and whenever the server dies."""

import pytest
from doubles.annotation import POSTGRES, place
from doubles.annotation_load import calm, kill_and_check, race, served

from spanwise.annotate.store.database import sqlite_url

__all__ = ["place"]

pytestmark = pytest.mark.slow


def test_twelve_processes_race_for_four_hundred_items(place):
    result = race(place, people=12, items=400, overlap=3)
    assert (result.annotations, result.over_quota, result.repeats, result.errors) == (1200, 0, 0, [])


def test_every_acknowledged_revision_survives_fifty_kills(place):
    acknowledged, lost, report = kill_and_check(place, times=50, writers=4)
    assert acknowledged > 50
    assert lost == 0
    assert report.ok, report.problems


@pytest.mark.skipif(bool(POSTGRES), reason="the figure is SQLite's")
def test_twenty_annotators_on_sqlite_wait_for_less_than_fifty_milliseconds(tmp_path):
    result = calm(sqlite_url(tmp_path / "a.db"), people=20, items=40, overlap=3, pause=0.5, saves=3)
    assert result.errors == []
    assert result.percentile("claim", 0.95) < 50
    assert result.percentile("save", 0.95) < 50


@pytest.mark.skipif(bool(POSTGRES), reason="the figure is SQLite's")
def test_twenty_pages_at_once_lose_nothing(tmp_path):
    result = served(tmp_path, people=20, items=20, overlap=3, pause=0.1, saves=2)
    assert (result.annotations, result.over_quota, result.repeats, result.errors) == (60, 0, 0, [])
