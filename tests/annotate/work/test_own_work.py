"""An annotator's own work: what is done, what is left for this person, and finding an item again."""

from doubles.annotation import wrong_fact

from spanwise.annotate.work.overview import own_progress
from spanwise.annotate.work.submission import my_work, skip


def left(world, name: str) -> int:
    return own_progress(world.database, world.project, world.user(name)).left


def test_what_is_left_is_left_for_this_person(world) -> None:
    world.items(3, overlap=2)
    assert (left(world, "ann"), left(world, "ben")) == (3, 3)
    world.submit("ann", world.claim("ann"))
    held = world.claim("ann")
    skip(world.database, world.project, world.user("ann"), held, reason="not mine")
    assert (left(world, "ann"), left(world, "ben")) == (1, 3)  # each item is wanted twice, by two people
    for name in ("ben", "cem"):
        for _ in range(left(world, name)):
            world.submit(name, world.claim(name))
    assert [left(world, name) for name in ("ann", "ben", "cem", "dan")] == [0, 0, 0, 0]
    own = own_progress(world.database, world.project, world.user("ann"))
    assert (own.submitted, own.skipped) == (1, 1)


def test_own_work_is_found_by_item_prompt_and_comment(world) -> None:
    world.items(3)
    for comment in ("100 % sure", "under_scored", ""):
        world.submit("ann", world.claim("ann"), {"spans": [wrong_fact()], "comment": comment})

    def found(query: str, name: str = "ann") -> list[str]:
        page = my_work(world.database, world.project, world.user(name), query=query)
        assert page.total == len(page.rows)
        return sorted(row.ext_id for row in page.rows)

    assert found("") == found("WHERE was ada") == ["item-0", "item-1", "item-2"]
    assert found("item-1") == ["item-1"]
    assert found("100 %") == ["item-0"]
    assert found("r_s") == ["item-1"]  # signs of the search itself are signs like others
    assert found("%") == ["item-0"]
    assert found("", "ben") == []
