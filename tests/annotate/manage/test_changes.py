"""Lists that are asked for by several things at once, and changes of many items that can be taken back."""

import pytest
from sqlalchemy import select

from spanwise.annotate.manage.assignments import assigned_to, set_groups
from spanwise.annotate.manage.changes import (
    Change,
    assign,
    change_items,
    list_changes,
    set_overlap,
    take_change_back,
)
from spanwise.annotate.manage.listing import ItemFilter, list_items
from spanwise.annotate.manage.threads import ask, settle
from spanwise.annotate.store import tables
from spanwise.annotate.store.body import Body
from spanwise.annotate.store.refusals import AccessError, UnknownError
from spanwise.annotate.work.gold import set_gold, unset_gold
from spanwise.annotate.work.queue import NothingNow, claim
from spanwise.core.errors import DataError


def _listed(world, **asked) -> list[str]:
    return [row.ext_id for row in list_items(world.database, world.project, ItemFilter(**asked)).rows]


def _change(world, chosen: dict, **change):
    return change_items(world.database, world.project, ItemFilter(**chosen), Change(**change), by=world.boss)


def _state(world) -> tuple:
    """What changes may touch of every item."""
    slot, item, assignment = tables.slot, tables.item, tables.assignment
    slots = select(slot.c.item_id, slot.c.k, slot.c.priority, slot.c.state).order_by(slot.c.item_id, slot.c.k)
    items = select(item.c.id, item.c.priority, item.c.overlap).order_by(item.c.id)
    kept = select(assignment).order_by(assignment.c.item_id, assignment.c.who)
    with world.database.read() as connection:
        return tuple(tuple(connection.execute(query).all()) for query in (slots, items, kept))


def test_conditions_of_a_list_hold_together(world):
    ids = world.items(4, overlap=2)
    held = world.claim("ann")
    world.submit("ann", held)
    asked = ask(world.database, world.project, world.user("ann"), ids[0], "Is Rome right?")
    world.user("bob")
    assign(world.database, world.project, ids[2:], ["bob"], by=world.boss)
    assert _listed(world, annotator="ANN") == ["item-0"]
    assert _listed(world, assigned="bob") == ["item-2", "item-3"]
    assert _listed(world, assigned="bob", query="ITEM-3") == ["item-3"]
    assert _listed(world, asked=True, state="open") == ["item-0"]
    assert _listed(world, asked=True, annotator="bob") == []
    assert _listed(world, round=1, purpose="normal", state="done") == []
    settle(world.database, world.project, asked.id, by=world.boss)
    assert _listed(world, asked=True) == []


def test_a_change_of_many_items_is_taken_back_to_the_letter(world):
    ids = world.items(5, overlap=2)
    world.user("bob")
    assign(world.database, world.project, ids[:2], ["bob"], by=world.boss)
    before = _state(world)
    first = _change(world, {"query": "item"}, overlap=3, priority=2.5)
    second = _change(world, {"assigned": "bob"}, names=["boss"])
    assert (first.items, second.items) == (5, 2)
    assert assigned_to(world.database, ids[0]) == ("boss",)
    assert [row.overlap for row in list_items(world.database, world.project).rows] == [3] * 5
    with pytest.raises(DataError, match="later change"):
        take_change_back(world.database, world.project, first.id, by=world.boss)
    assert take_change_back(world.database, world.project, second.id, by=world.boss) == 2
    assert take_change_back(world.database, world.project, first.id, by=world.boss) == 5
    assert _state(world) == before
    assert [(row.id, row.undone) for row in list_changes(world.database, world.project)] == [
        (second.id, True),
        (first.id, True),
    ]
    with pytest.raises(DataError, match="already"):
        take_change_back(world.database, world.project, first.id, by=world.boss)


def test_lowering_for_many_takes_open_slots_and_nobodys_work(world):
    ids = world.items(2, overlap=3)
    held = world.claim("ann", item_id=ids[1])
    change = _change(world, {}, overlap=1)
    (untouched, lent) = list_items(world.database, world.project).rows
    assert (untouched.open, lent.open, lent.leased) == (1, 0, 1)
    world.submit("ann", held)
    take_change_back(world.database, world.project, change.id, by=world.boss)
    (untouched, done) = list_items(world.database, world.project).rows
    assert (untouched.open, done.open, done.submitted) == (3, 2, 1)


def test_a_priority_for_many_changes_who_comes_first(world):
    world.items(3)
    _change(world, {"query": "item-2"}, priority=1)
    assert world.claim("ann").item_id == list_items(world.database, world.project).rows[2].id


def test_items_kept_for_a_group_reach_its_members_alone(world):
    world.items(2)
    set_groups(world.database, world.project, world.user("bob").name, ["experts"], by=world.boss)
    _change(world, {}, names=["@experts"])
    assert isinstance(claim(world.database, world.project, world.user("ann")), NothingNow)
    assert world.claim("bob").item_id
    _change(world, {}, names=[])
    assert world.claim("ann").item_id


def test_a_change_needs_a_manager_known_names_and_something_to_change(world):
    world.items(1)
    with pytest.raises(AccessError):
        change_items(world.database, world.project, ItemFilter(), Change(priority=1), by=world.user("ann"))
    with pytest.raises(UnknownError, match="group"):
        _change(world, {}, names=["@nobody"])
    with pytest.raises(DataError, match="Nothing"):
        _change(world, {})
    with pytest.raises(UnknownError):
        take_change_back(world.database, world.project, "none", by=world.boss)
    assert list_changes(world.database, world.project) == ()


def test_a_gold_item_that_is_none_any_more_is_offered_again(world):
    (item_id,) = world.items(1, overlap=2)
    set_gold(world.database, world.project, item_id, Body(no_errors=("r1",)), kind="gold", by=world.boss)
    assert isinstance(claim(world.database, world.project, world.user("ann")), NothingNow)
    unset_gold(world.database, world.project, item_id, by=world.boss)
    assert [world.claim(name).item_id for name in ("ann", "bob")] == [item_id] * 2
    with pytest.raises(UnknownError):
        unset_gold(world.database, world.project, item_id, by=world.boss)


def test_one_item_gets_more_and_fewer_places(world):
    (item_id,) = world.items(1)
    set_overlap(world.database, world.project, item_id, 4, by=world.boss)
    assert list_items(world.database, world.project).rows[0].open == 4
    set_overlap(world.database, world.project, item_id, 2, by=world.boss)
    assert list_items(world.database, world.project).rows[0].open == 2
