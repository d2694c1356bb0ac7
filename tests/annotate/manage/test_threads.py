"""Questions about items: who may ask, who may answer, who sees what."""

import pytest

from spanwise.annotate.exchange.imports import roll_back
from spanwise.annotate.manage.threads import LONGEST, ask, list_threads, reply, settle
from spanwise.annotate.store import tables
from spanwise.annotate.store.refusals import AccessError, UnknownError
from spanwise.core.errors import DataError


def _asked(world, name="ann", text="Is Rome right?", **more):
    return ask(world.database, world.project, world.user(name), world.claim(name).item_id, text, **more)


def _seen(world, user, **more):
    return list_threads(world.database, world.project, user, **more)


def test_a_question_goes_to_the_manager_and_its_answer_comes_back(world):
    world.items(1, overlap=2)
    asked = _asked(world)
    world.clock.advance(minutes=5)
    reply(world.database, world.project, asked.id, "No, Oslo.", by=world.boss)
    (seen,) = _seen(world, world.user("ann")).rows
    assert (seen.content, [(a.by, a.content) for a in seen.answers]) == ("Is Rome right?", [("boss", "No, Oslo.")])
    assert _seen(world, world.boss).open == 1
    settle(world.database, world.project, asked.id, by=world.boss)
    assert _seen(world, world.boss, settled=False).total == 0
    reply(world.database, world.project, asked.id, "Are you sure?", by=world.user("ann"))
    assert _seen(world, world.boss).open == 1


def test_other_annotators_neither_see_nor_answer(world):
    world.items(1, overlap=2)
    asked = _asked(world)
    world.claim("bob")
    assert _seen(world, world.user("bob")).rows == ()
    for act in (
        lambda: reply(world.database, world.project, asked.id, "Me too", by=world.user("bob")),
        lambda: settle(world.database, world.project, asked.id, by=world.user("bob")),
    ):
        with pytest.raises(UnknownError):
            act()


def test_one_asks_about_items_that_one_has_or_had(world):
    ids = world.items(2)
    held = world.claim("ann")
    with pytest.raises(AccessError, match="never yours"):
        ask(world.database, world.project, world.user("ann"), ids[1], "And this?")
    world.submit("ann", held)
    assert ask(world.database, world.project, world.user("ann"), ids[0], "Was that right?").ext_id == "item-0"
    with pytest.raises(UnknownError):
        ask(world.database, world.project, world.boss, "none", "?")


@pytest.mark.parametrize("text", ["", "  \n", "x" * (LONGEST + 1), "half a \ud83c"])
def test_a_question_has_words(world, text):
    world.items(1)
    with pytest.raises(DataError):
        _asked(world, text=text)


def test_an_item_with_questions_can_be_taken_back_where_nobody_worked_on_it(world):
    from doubles.annotation import small  # noqa: PLC0415 - with the item that only this test stores

    from spanwise.annotate.store.items import NewItem, add_items  # noqa: PLC0415

    with world.database.write() as connection:
        batch = {"id": "b1", "project_id": world.project.id, "format": "spanwise", "filename": "f", "sha256": "0"}
        batch |= {"offset_unit": "auto", "counts": {}, "report": [], "at": world.database.now()}
        connection.execute(tables.import_batch.insert().values(**batch))
        (item_id,) = add_items(
            connection, world.project, [NewItem(small("x"), "x", {}, "normal", 0.0, 1)], batch_id="b1"
        )
    asked = ask(world.database, world.project, world.boss, item_id, "Does this belong here?")
    reply(world.database, world.project, asked.id, "No.", by=world.boss)
    assert roll_back(world.database, world.project, "b1") == 1
    assert _seen(world, world.boss).total == 0
