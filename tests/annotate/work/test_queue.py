import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.annotation import Lease, World, lease_of, spans_only
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from spanwise.annotate.manage.assignments import reopen_skipped
from spanwise.annotate.manage.changes import set_overlap
from spanwise.annotate.manage.listing import ItemFilter, list_items
from spanwise.annotate.store import tables
from spanwise.annotate.store.database import new_id
from spanwise.annotate.store.refusals import AccessError, LeaseError, UnknownError
from spanwise.annotate.work.desk import SlotKey
from spanwise.annotate.work.drafts import Save, load_draft, save_draft
from spanwise.annotate.work.queue import NothingNow, claim, expire, release, renew
from spanwise.annotate.work.submission import skip
from spanwise.core.errors import DataError


def _nothing(world, name="ann"):
    found = claim(world.database, world.project, world.user(name))
    assert isinstance(found, NothingNow)
    return found


def test_items_are_lent_in_order_and_the_same_lease_comes_back(world):
    ids = world.items(3)
    first = world.claim()
    assert (first.item_id, first.resumed) == (ids[0], False)
    again = world.claim()
    assert (again.item_id, again.lease_token, again.resumed) == (ids[0], first.lease_token, True)
    world.submit("ann", first)
    assert world.claim().item_id == ids[1]


def test_nobody_gets_an_item_twice_and_the_quota_holds(world):
    world.items(2, overlap=2)
    for name in ("ann", "bob"):
        for _ in range(2):
            world.submit(name, world.claim(name))
    assert all(_nothing(world, name).finished for name in ("ann", "bob", "cy"))


def test_nothing_now_says_how_many_are_lent_and_until_when(world):
    world.items(1)
    held = world.claim("ann")
    waiting = _nothing(world, "bob")
    assert (waiting.leased_elsewhere, waiting.next_free_at, waiting.finished) == (1, held.lease_expires_at, False)


def test_an_expired_lease_passes_on_but_not_before(world):
    world.items(1)
    first = world.claim("ann")
    world.clock.advance(minutes=29)
    assert _nothing(world, "bob").leased_elsewhere == 1
    world.clock.advance(minutes=2)
    second = world.claim("bob")
    assert second.item_id == first.item_id
    assert second.lease_token != first.lease_token
    with pytest.raises(LeaseError) as refused:
        renew(world.database, world.project, world.user("ann"), lease_of(first))
    assert refused.value.reason == "taken"


def test_renewing_and_autosave_keep_the_lease(world):
    world.items(1)
    held = world.claim("ann")
    world.clock.advance(minutes=25)
    assert renew(world.database, world.project, world.user("ann"), lease_of(held)) > held.lease_expires_at
    world.clock.advance(minutes=25)
    saved = world.save("ann", held, 0, {})
    assert saved.lease == "held"
    world.clock.advance(minutes=25)
    assert _nothing(world, "bob").leased_elsewhere == 1


def test_an_expired_lease_that_nobody_took_is_still_its_owners(world):
    world.items(1)
    held = world.claim("ann")
    world.clock.advance(days=3)
    assert renew(world.database, world.project, world.user("ann"), lease_of(held))
    world.clock.advance(days=3)
    assert world.claim("ann").lease_token == held.lease_token
    world.clock.advance(days=3)
    assert not world.submit("ann", held).extra


def test_released_items_go_to_others_and_keep_their_draft(world):
    world.items(1)
    held = world.claim("ann")
    world.save("ann", held, 0, {"a": 1})
    release(world.database, world.project, world.user("ann"), lease_of(held))
    other = world.claim("bob")
    assert other.draft is None
    release(world.database, world.project, world.user("bob"), lease_of(other))
    assert world.claim("ann").draft.document == {"a": 1}
    with pytest.raises(LeaseError):
        release(world.database, world.project, world.user("bob"), lease_of(other))


def test_skipped_items_do_not_come_back_to_who_skipped_them(world):
    world.items(1)
    skip(world.database, world.project, world.user("ann"), lease_of(world.claim("ann")), reason="unreadable")
    assert _nothing(world, "ann").finished
    assert list_items(world.database, world.project, ItemFilter(state="skipped")).total == 1
    (row,) = list_items(world.database, world.project).rows
    assert reopen_skipped(world.database, world.project, row.id, by=world.boss) == 1
    assert isinstance(_nothing(world, "ann"), NothingNow)
    assert world.claim("bob").item_id == row.id


def test_a_manager_ends_a_lease(world):
    (item_id,) = world.items(1)
    held = world.claim("ann")
    key = SlotKey(item_id=item_id, round=1, k=held.k)
    with pytest.raises(AccessError):
        expire(world.database, world.project, key, by=world.user("ann"))
    expire(world.database, world.project, key, by=world.boss)
    assert world.claim("bob").item_id == item_id
    with pytest.raises(LeaseError):
        expire(world.database, world.project, SlotKey(item_id=item_id, round=1, k=9), by=world.boss)


def test_overlap_can_rise_and_fall_without_taking_work_away(world):
    (item_id,) = world.items(1, overlap=2)
    world.submit("ann", world.claim("ann"))
    set_overlap(world.database, world.project, item_id, 4, by=world.boss)
    held = world.claim("bob")
    set_overlap(world.database, world.project, item_id, 1, by=world.boss)
    (row,) = list_items(world.database, world.project).rows
    assert (row.overlap, row.submitted, row.leased, row.open) == (1, 1, 1, 0)
    world.submit("bob", held)
    assert _nothing(world, "cy").finished
    set_overlap(world.database, world.project, item_id, 3, by=world.boss)
    assert world.claim("cy").item_id == item_id
    with pytest.raises(DataError):
        set_overlap(world.database, world.project, item_id, 0, by=world.boss)


def test_priority_comes_before_the_order_of_import(world):
    ids = world.items(3)
    with world.database.write() as connection:
        connection.execute(tables.slot.update().where(tables.slot.c.item_id == ids[2]).values(priority=2.0))
    assert world.claim().item_id == ids[2]


def test_a_wanted_item_is_lent_alone(world):
    ids = world.items(3)
    assert world.claim(item_id=ids[1]).item_id == ids[1]
    assert isinstance(claim(world.database, world.project, world.user("bob"), item_id=ids[1]), NothingNow)
    assert isinstance(claim(world.database, world.project, world.user("bob"), item_id="none"), NothingNow)


def test_response_order_is_a_permutation_that_stays(world):
    world.items(20, overlap=2)
    orders = set()
    for _ in range(20):
        held = world.claim()
        assert sorted(held.response_order) == ["r1", "r2"]
        assert world.claim().response_order == held.response_order
        orders.add(held.response_order)
        world.submit("ann", held)
    assert len(orders) == 2


def test_viewers_do_not_annotate(world):
    world.items(1)
    with pytest.raises(AccessError):
        claim(world.database, world.project, world.user("eve", "viewer"))


def test_drafts_for_items_that_are_not_there_are_refused(world):
    lease = Lease(item_id="none", round=1, lease_token="x")
    with pytest.raises(UnknownError):
        save_draft(world.database, world.project, world.user(), Save(**lease.model_dump(), base_rev=0, document={}))
    assert load_draft(world.database, world.user(), "none", 1) is None


def test_the_database_itself_refuses_a_second_slot_of_an_item_to_one_person(world):
    (item_id,) = world.items(1, overlap=2)
    world.claim("ann")
    taken = (
        tables.slot.update()
        .where(tables.slot.c.item_id == item_id, tables.slot.c.k == 1)
        .values(state="leased", user_id=world.user("ann").id)
    )
    with pytest.raises(DatabaseError), world.database.write() as connection:
        connection.execute(taken)


@pytest.mark.parametrize("statement", [
    "UPDATE event SET kind = 'x'", "DELETE FROM event", "UPDATE annotation SET comment = 'x'",
    "DELETE FROM annotation", "UPDATE text SET content = 'x'", "UPDATE judgement SET no_errors = true",
])  # fmt: skip
def test_what_is_written_once_stays(world, statement):
    world.items(1)
    world.submit("ann", world.claim())
    with pytest.raises(DatabaseError), world.database.write() as connection:
        connection.execute(text(statement))


def test_threads_that_race_never_exceed_the_quota(place):
    world = World(place, spans_only(), real_time=True)
    world.items(12, overlap=2)
    names = [f"p{n}" for n in range(6)]
    users = {name: world.user(name) for name in names}

    def work(name):
        done = 0
        while not isinstance(held := claim(world.database, world.project, users[name]), NothingNow):
            client = str(uuid.uuid4())
            receipts = [world.submit(name, held, client_submission_id=client) for _ in range(2)]
            assert receipts[0].annotation_id == receipts[1].annotation_id
            done += 1
        return done

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(work, names)) == 24
    with world.database.read() as connection:
        rows = connection.execute(select(tables.annotation.c.item_id, tables.annotation.c.user_id)).all()
    assert len(rows) == len(set(rows)) == 24
    world.close()


def test_ids_sort_by_time_and_differ():
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)
    assert {len(i) for i in ids} == {26}
