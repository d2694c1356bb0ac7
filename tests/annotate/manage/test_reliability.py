"""Reliability of people, agreement by week, and what became of suggestions, against figures done by hand."""

import numpy as np
import pytest
from doubles.annotation import TEXT, World, spans_only, wrong_fact
from sqlalchemy import insert

from spanwise.annotate.manage.reliability import measure_reliability
from spanwise.annotate.manage.uptake import measure_uptake
from spanwise.annotate.store import tables
from spanwise.annotate.store.body import Body
from spanwise.annotate.store.database import new_id
from spanwise.feedback.schema import FeedbackRecord, Response, SpanMark
from spanwise.feedback.statistics.agreement import alpha, coincidences
from spanwise.feedback.statistics.reliability import agreement_by, interval_of_mean, reliabilities

TEXTS = "One is here. Two is here. Three is here. Four is here."


def _record(name: str, *marked: int) -> FeedbackRecord:
    """Somebody's marks on the numbered sentences."""
    starts = [0, 13, 26, 41]
    spans = tuple(
        SpanMark(start=starts[n], end=starts[n] + 3, quote=TEXTS[starts[n] : starts[n] + 3], category="wrong")
        for n in marked
    )
    return FeedbackRecord(
        id="x", prompt="?", annotator=name, responses=(Response(text=TEXTS, spans=spans, marked=True),)
    )


def test_between_two_people_each_ones_figure_is_their_alpha():
    items = [[_record("ann", 0, 1), _record("bob", 1)], [_record("ann", 3), _record("bob", 3)]]
    units = [[1, 0], [1, 1], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [1, 1]]
    wanted = alpha(coincidences(units, 2))
    figures = reliabilities(items, ["wrong"])
    assert set(figures) == {"ann", "bob"}
    for figure in figures.values():
        assert figure.value == pytest.approx(wanted)
        assert figure.units == 8
    assert agreement_by({"all": items}, ["wrong"])["all"].value == pytest.approx(wanted)


def test_who_marks_at_random_is_told_from_those_who_agree():
    random = np.random.default_rng(0)
    items = []
    for _ in range(60):
        right = [n for n in range(4) if random.random() < 0.4]
        lot = [n for n in range(4) if random.random() < 0.4]
        items.append([_record("ann", *right), _record("bob", *right), _record("cy", *lot)])
    figures = reliabilities(items, ["wrong"])
    assert abs(figures["cy"].value) < 0.2
    assert figures["ann"].value > 0.4
    assert figures["cy"].high < figures["ann"].low


def test_of_one_judge_nothing_is_said():
    figures = reliabilities([[_record("ann", 0)]], ["wrong"])
    assert figures == {}
    assert interval_of_mean([0.5]) is None


def test_an_interval_of_a_mean_covers_it():
    values = list(np.random.default_rng(1).random(200))
    low, high = interval_of_mean(values)
    half = 1.96 * np.std(values) / np.sqrt(200)
    assert low == pytest.approx(np.mean(values) - half, abs=0.02)
    assert high == pytest.approx(np.mean(values) + half, abs=0.02)


def test_weeks_and_people_of_a_project(world):
    world.items(2, overlap=2)
    for week in range(2):
        for name in ("ann", "bob"):
            held = world.claim(name)
            agree = week == 0 or name == "ann"
            world.submit(name, held, {"spans": [wrong_fact()]} if agree else {"no_errors": ["r1"]})
        world.clock.advance(days=7)
    panel = measure_reliability(world.database, world.project)
    assert [(week.week, week.items) for week in panel.weeks] == [("2026-W01", 1), ("2026-W02", 1)]
    assert panel.weeks[0].alpha > panel.weeks[1].alpha
    assert [(one.name, one.golds) for one in panel.people] == [("ann", 0), ("bob", 0)]


def _suggest(world: World, item_id: str) -> str:
    suggestion_id = new_id()
    body = Body.model_validate({"spans": [wrong_fact(id="m1", origin="model", suggestion_id=suggestion_id)]})
    row = {"id": suggestion_id, "item_id": item_id, "source": "model", "version": "1", "score": 0.1}
    with world.database.write() as connection:
        connection.execute(
            insert(tables.suggestion).values(**row, body=body.model_dump(mode="json"), at=world.database.now())
        )
    return suggestion_id


def test_suggestions_are_counted_as_taken_over_changed_dropped_and_added(place):
    world = World(place, spans_only(suggestions="on_demand", suggestion_holdout=0.0))
    ids = world.items(4)
    of_item = {item_id: _suggest(world, item_id) for item_id in ids}
    shorter = {"end": 12, "quote": TEXT[:12]}
    for number in range(4):
        held = world.claim("ann")
        same = wrong_fact(origin="accepted", suggestion_id=of_item[held.item_id])
        own = wrong_fact(id="own", start=22, end=43, quote=TEXT[22:43])
        spans = [[same], [same | shorter | {"origin": "modified"}], [], [same, own]][number]
        world.submit("ann", held, {"spans": spans} if spans else {"no_errors": ["r1"]})
    (ann,) = measure_uptake(world.database, world.project).people
    assert (ann.items, ann.offered) == (4, 4)
    assert (ann.accepted, ann.modified, ann.dropped, ann.added) == (2, 1, 1, 1)
    assert not ann.nods
    world.close()


@pytest.mark.parametrize(("reads", "nods"), [(False, True), (True, False)])
def test_who_only_nods_is_warned_of(place, reads, nods):
    world = World(place, spans_only(suggestions="prefilled", suggestion_holdout=0.0))
    of_item = {item_id: _suggest(world, item_id) for item_id in world.items(20)}
    for number in range(20):
        held = world.claim("ann")
        same = wrong_fact(origin="accepted", suggestion_id=of_item[held.item_id])
        drops = reads and number % 4 == 0
        world.submit("ann", held, {"no_errors": ["r1"]} if drops else {"spans": [same]})
    (ann,) = measure_uptake(world.database, world.project).people
    assert ann.nods is nods
    world.close()
