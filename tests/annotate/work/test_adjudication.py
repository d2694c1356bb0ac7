"""Decisions in the making are kept like drafts; what all agree on is found at a cost that is linear in the marks."""

import pytest
from doubles.annotation import TEXT, wrong_fact

from spanwise.annotate.store.body import Body
from spanwise.annotate.store.refusals import AccessError, DraftConflictError
from spanwise.annotate.work.adjudication import (
    Verdict,
    VerdictSave,
    adjudicate,
    agreed,
    lanes,
    next_undecided,
    save_verdict,
)
from spanwise.core.errors import DataError
from spanwise.feedback.statistics import agreement

RIGHT = {"spans": [wrong_fact()]}


def annotated(world, *bodies: tuple[dict, dict]) -> list[str]:
    """Items that ann and bob annotated, with what each said."""
    ids = world.items(len(bodies), overlap=2)
    for item_id, pair in zip(ids, bodies, strict=True):
        for name, body in zip(("ann", "bob"), pair, strict=True):
            world.submit(name, world.claim(name, item_id=item_id), body)
    return ids


def keep(world, item_id: str, rev: int, document: dict, save_id: str | None = None):
    save = VerdictSave(item_id=item_id, base_rev=rev, document=document, save_id=save_id)
    return save_verdict(world.database, world.project, world.boss, save)


def test_a_decision_in_the_making_is_kept_and_goes_with_the_decision(world):
    (item_id,) = annotated(world, (RIGHT, {"no_errors": ["r1"]}))
    assert lanes(world.database, world.project, world.boss, item_id).draft is None
    assert keep(world, item_id, 0, {"log": [1]}, "save-number-1").rev == 1
    assert keep(world, item_id, 0, {"log": [1]}, "save-number-1").rev == 1  # the answer was lost, the page asks again
    assert keep(world, item_id, 1, {"log": [2]}).rev == 2
    with pytest.raises(DraftConflictError):
        keep(world, item_id, 1, {"log": [3]})
    save = VerdictSave(item_id=item_id, base_rev=0, document={})
    with pytest.raises(AccessError):
        save_verdict(world.database, world.project, world.user("ann"), save)
    shown = lanes(world.database, world.project, world.boss, item_id)
    assert shown.draft is not None
    assert shown.draft.document["log"] == [2]
    sources = tuple(lane.annotation_id for lane in shown.lanes)
    verdict = Verdict(item_id=item_id, client_submission_id="verdict-1", body=RIGHT, source_ids=sources)
    adjudicate(world.database, world.project, world.boss, verdict)
    assert lanes(world.database, world.project, world.boss, item_id).draft is None
    with pytest.raises(DataError):  # a page that was left open does not bring it back
        keep(world, item_id, 2, {"log": [4]})


def test_who_annotates_and_adjudicates_has_two_drafts(world):
    (item_id,) = world.items(1, overlap=3)
    world.user("boss", "admin")
    held = world.claim("boss", item_id=item_id)
    world.save("boss", held, 0, {"mine": 1})
    keep(world, item_id, 0, {"verdict": 1})
    assert world.save("boss", held, 1, {"mine": 2}).rev == 2
    assert world.claim("boss").draft.document == {"mine": 2}
    assert lanes(world.database, world.project, world.boss, item_id).draft.document["verdict"] == 1


def test_the_queue_goes_on_behind_an_item_that_was_decided(world):
    none = {"no_errors": ["r1"]}
    half = {"spans": [wrong_fact(), wrong_fact(id="s2", start=44, end=60, quote=TEXT[44:60], category="Incoherent")]}
    same, other, partly = annotated(world, (RIGHT, RIGHT), (RIGHT, none), (RIGHT, half))
    follows = lambda item_id: next_undecided(world.database, world.project, item_id)  # noqa: E731 - the same call thrice
    assert [follows(other), follows(partly), follows(same)] == [partly, same, None]
    sources = tuple(lane.annotation_id for lane in lanes(world.database, world.project, world.boss, partly).lanes)
    verdict = Verdict(item_id=partly, client_submission_id="verdict-1", body=RIGHT, source_ids=sources)
    adjudicate(world.database, world.project, world.boss, verdict)
    assert follows(partly) == same  # and not the one before it, which was passed over


def test_what_is_agreed_costs_as_much_as_the_marks_are_many(monkeypatch):
    asked = []
    whole = agreement.iou
    monkeypatch.setattr(agreement, "iou", lambda a, b: asked.append(0) or whole(a, b))
    for count in (50, 400):
        spans = [
            {"id": f"s{n}", "start": 10 * n, "end": 10 * n + 8, "quote": "12345678", "category": "a"}
            for n in range(count)
        ]
        body = Body.model_validate({"spans": spans})
        asked.clear()
        assert agreed([body, body, body]).spans == body.spans
        assert len(asked) <= 3 * 2 * count
