"""Leases and gold items at their edges: caps, looks, clocks that were wrong, what tells gold from others."""

import shutil
from dataclasses import replace

import pytest
from doubles.annotation import World, _template, lease_of, spans_only
from sqlalchemy import event, update

from spanwise.annotate.manage.assignments import set_groups
from spanwise.annotate.manage.changes import assign, set_overlap
from spanwise.annotate.people.logins import log_in, set_password
from spanwise.annotate.store import tables
from spanwise.annotate.store.database import sqlite_url
from spanwise.annotate.store.items import get_item
from spanwise.annotate.store.refusals import AccessError, LoginError, UnknownError
from spanwise.annotate.store.setup import touch_queue
from spanwise.annotate.web.app import create_app
from spanwise.annotate.web.routes.work import WorkClaim
from spanwise.annotate.work.drafts import Save, save_draft
from spanwise.annotate.work.queue import Claim, NothingNow, claim, release

PASSWORD = "correct horse"


def _with(world: World, **changes) -> None:
    world.project = replace(world.project, config=world.project.config.model_copy(update=changes))


def test_one_person_holds_no_more_items_than_the_project_lends(world):
    _with(world, leases_per_person=3)
    ids = world.items(5)
    for item_id in ids[:3]:
        world.claim(item_id=item_id)
    found = claim(world.database, world.project, world.user(), item_id=ids[3])
    assert isinstance(found, NothingNow)
    assert found.too_many == 3
    assert world.claim(item_id=ids[1]).resumed
    world.clock.advance(hours=2)  # what ran out is no longer held
    assert world.claim(item_id=ids[3]).item_id == ids[3]


def test_an_expired_item_comes_before_later_ones(world):
    first, second = world.items(2)
    held = world.claim("bob")
    assert held.item_id == first
    world.clock.advance(hours=1)
    assert world.claim("ann").item_id == first
    assert world.claim("cleo").item_id == second


def test_a_lease_that_was_given_while_the_clock_was_ahead_ends(world):
    (item_id,) = world.items(1)
    world.clock.advance(days=400)
    world.claim("bob")
    world.clock.advance(days=-400)
    assert world.claim("ann").item_id == item_id


def test_a_draft_needs_a_claim_and_outlives_it(world):
    (item_id,) = world.items(1)
    stranger = Save(item_id=item_id, round=1, lease_token="made-up", base_rev=0, document={})
    with pytest.raises(UnknownError, match="never yours"):
        save_draft(world.database, world.project, world.user(), stranger)
    held = world.claim()
    release(world.database, world.project, world.user(), lease_of(held))
    assert world.save("ann", held, 0, {"late": True}).rev == 1
    with pytest.raises(UnknownError, match="never yours"):
        save_draft(world.database, world.project, world.user("bob"), stranger)


def test_a_look_at_an_item_lends_nothing(world):
    (item_id,) = world.items(1)
    assert get_item(world.database, world.project, item_id).id == item_id
    assert ("GET", "/api/v1/items/{item_id}") in {
        (sorted(route.methods - {"HEAD"})[0], route.path)
        for route in create_app(world.database, world.project).routes
        if getattr(route, "methods", None)
    }
    assert world.claim("ann").item_id == item_id


def test_a_clock_that_was_wrong_locks_nobody_out(world):
    world.user()
    set_password(world.database, "ann", PASSWORD)
    world.clock.advance(days=3)
    for _ in range(8):
        with pytest.raises(LoginError):
            log_in(world.database, "ann", "wrong", address="1.2.3.4")
    world.clock.advance(days=-3)
    assert log_in(world.database, "ann", PASSWORD, address="1.2.3.4").user.name == "ann"


def test_nothing_in_a_claim_and_no_rhythm_tells_gold_items(world):
    _with(world, gold_every=4, suggestions="on_demand", suggestion_holdout=0.0)
    world.items(60, prefix="n")
    gold = world.items(12, purpose="gold", prefix="g")
    with world.database.write() as connection:
        for item_id in gold:
            row = {"item_id": item_id, "body": {"no_errors": ["r1"]}, "at": world.database.now()}
            connection.execute(tables.gold.insert().values(**row))
    pauses, since = [], 0
    for _ in range(40):
        held = world.claim()
        with world.database.read() as connection:
            row = connection.execute(tables.slot.select().where(tables.slot.c.item_id == held.item_id)).mappings().one()
        assert row["suggested"]
        if held.item_id in gold:
            pauses.append(since)
            since = 0
        else:
            since += 1
        world.submit("ann", held)
        world.clock.advance(seconds=30)
    assert len(set(pauses)) > 2  # not always the same number of items between two
    assert 1 <= sum(pauses) / len(pauses) <= 7
    assert not {"k", "kind"} & set(WorkClaim.model_fields)


def _steps(world: World, act) -> int:
    """What SQLite does for `act`, in hundreds of its own instructions: the same on every machine."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    event.listen(world.database.engine, "checkout", lambda raw, *_: raw.set_progress_handler(tick, 100))
    world.database.engine.dispose()
    act()  # the connection is made, statements are compiled
    count = 0
    act()
    return count


@pytest.mark.parametrize("touched", [0, 300])
def test_a_claim_looks_at_few_slots_however_many_there_are(tmp_path, touched):
    """Also for somebody who is far ahead of the others on items that several annotate."""
    costs = []
    for size in (40, 800):
        path = tmp_path / f"{size}.db"
        shutil.copy(_template(), path)
        world = World(sqlite_url(path), spans_only())
        world.items(size + touched, overlap=2)
        for _ in range(touched if size > 100 else 5):
            world.submit("ann", world.claim())

        def act(world=world) -> None:
            held = world.claim()
            world.submit("ann", held)

        costs.append(_steps(world, act))
        world.close()
    assert costs[1] < 2 * costs[0] + 20, costs


def test_slots_that_become_free_behind_one_are_found(world):
    ids = world.items(4, overlap=1)
    held = world.claim("bob")
    assert held.item_id == ids[0]
    for item_id in ids[1:3]:
        got = world.claim("ann")
        assert got.item_id == item_id
        world.submit("ann", got)
    release(world.database, world.project, world.user("bob"), lease_of(held))
    again = world.claim("ann")
    assert again.item_id == ids[0]
    world.submit("ann", again)
    set_overlap(world.database, world.project, ids[0], 2, by=world.boss)
    assert world.claim("ann").item_id == ids[3]
    assert world.claim("cleo").item_id == ids[0]


def test_priorities_that_change_are_seen(world):
    ids = world.items(5)
    world.submit("ann", world.claim("ann"))
    late = world.items(1, prefix="late")
    with world.database.write() as connection:
        connection.execute(update(tables.slot).where(tables.slot.c.item_id == late[0]).values(priority=5.0))
        touch_queue(connection, world.project)
    assert world.claim("ann").item_id == late[0]
    assert isinstance(world.claim("bob"), Claim)
    assert len(ids) == 5


def test_assigned_items_go_to_their_people_and_groups_alone(world):
    first, second, third = world.items(3)
    for name in ("ann", "bob", "cleo"):
        world.user(name)
    set_groups(world.database, world.project, "cleo", ["experts"], by=world.boss)
    assign(world.database, world.project, [first], ["bob"], by=world.boss)
    assign(world.database, world.project, [second], ["@experts"], by=world.boss)
    assert world.claim("ann").item_id == third
    assert isinstance(claim(world.database, world.project, world.user("ann"), item_id=first), NothingNow)
    assert world.claim("bob").item_id == first
    assert world.claim("cleo").item_id == second
    for name, held in (("bob", first), ("cleo", second)):
        release(world.database, world.project, world.user(name), lease_of(world.claim(name, item_id=held)))
    assign(world.database, world.project, [first], [], by=world.boss)
    assert claim(world.database, world.project, world.user("dora")).item_id == first
    set_groups(world.database, world.project, "cleo", [], by=world.boss)
    assert isinstance(claim(world.database, world.project, world.user("cleo")), NothingNow)
    for names in (["nobody"], ["@nothing"]):
        with pytest.raises(UnknownError):
            assign(world.database, world.project, [first], names, by=world.boss)
    with pytest.raises(AccessError):
        assign(world.database, world.project, [first], ["ann"], by=world.user("ann"))
