import pytest
from doubles.annotation import TEXT, World, lease_of, repetition, shared_world, submission, wrong_fact
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.store.audit import history
from spanwise.annotate.store.body import Body
from spanwise.annotate.store.items import get_item
from spanwise.annotate.store.project import preset
from spanwise.annotate.store.refusals import AccessError, DraftConflictError, LeaseError, SubmissionError
from spanwise.annotate.store.upkeep import check
from spanwise.annotate.work.drafts import load_draft
from spanwise.annotate.work.queue import renew
from spanwise.annotate.work.submission import my_work, reopen, submit
from spanwise.annotate.work.validation import cautions_of, problems_of
from spanwise.core.errors import DataError

FULL = {
    "spans": [wrong_fact(), repetition()],
    "missing": [{"category": "Missing-Answer", "evidence": {"passage": 0, "sentences": [1], "title": True}}],
    "corrections": [{"target": "r1", "text": "Ada was born in Rome."}],
    "preferences": [{"a": "r2", "b": "r1", "choice": "a", "strength": 2}],
    "comment": "hard 🍎",
}


def test_a_body_comes_back_equal(place):
    world = World(place, preset("qa-feedback"))
    world.items(1)
    held = world.claim()
    receipt = world.submit("ann", held, FULL)
    (said,) = annotations_of(world.database, world.project, held.item_id)
    assert said.body == Body.model_validate(FULL)
    assert (said.id, said.version, said.extra, said.active_ms, said.marked) == (
        receipt.annotation_id,
        1,
        False,
        1500,
        ("r1",),
    )
    assert (said.annotator, said.label_set_version, said.guideline_version) == ("ann", 1, 1)
    assert said.response_order == held.response_order
    assert check(world.database).ok
    world.close()


def test_the_same_submission_twice_is_one_annotation(world):
    world.items(1)
    held = world.claim()
    sent = submission(held)
    first, second = (submit(world.database, world.project, world.user("ann"), sent) for _ in range(2))
    assert second == first.model_copy(update={"repeated": True})
    assert len(annotations_of(world.database, world.project, held.item_id)) == 1
    with pytest.raises(AccessError):
        submit(world.database, world.project, world.user("bob"), sent)


def test_another_submission_of_a_done_item_is_refused(world):
    world.items(1)
    held = world.claim()
    world.submit("ann", held)
    with pytest.raises(LeaseError):
        world.submit("ann", held)


def test_who_never_had_an_item_cannot_submit_it(world):
    world.items(1)
    held = world.claim("ann")
    with pytest.raises(LeaseError) as refused:
        world.submit("bob", held)
    assert refused.value.reason == "unknown"


def test_late_work_is_kept_as_extra_when_the_slot_has_passed_on(world):
    world.items(1)
    late = world.claim("ann")
    world.clock.advance(hours=1)
    timely = world.claim("bob")
    kept = world.save("ann", late, 0, {"body": {}, "log": []})
    assert (kept.rev, kept.lease) == (1, "taken")
    receipt = world.submit("ann", late)
    assert receipt.extra
    assert "extra" in receipt.message
    assert not world.submit("bob", timely).extra
    flags = [(said.annotator, said.extra) for said in annotations_of(world.database, world.project, late.item_id)]
    assert flags == [("ann", True), ("bob", False)]


def test_late_work_fills_an_open_slot_where_there_is_one(world):
    (item_id,) = world.items(1, overlap=2)
    late = world.claim("ann")
    world.clock.advance(hours=1)
    assert world.claim("bob").k == 1  # an open slot is taken before an expired one
    assert not world.submit("ann", late).extra
    assert [said.extra for said in annotations_of(world.database, world.project, item_id)] == [False]


def test_a_reopened_annotation_becomes_a_new_version_and_keeps_its_slot(world):
    world.items(1)
    held = world.claim()
    first = world.submit("ann", held, {"spans": [wrong_fact()]})
    again = reopen(world.database, world.project, world.user("ann"), first.annotation_id)
    assert Body.model_validate(again.draft.document["body"]).spans[0].quote == TEXT[:21]
    world.clock.advance(days=1)
    second = world.submit("ann", again)
    assert (second.version, second.extra) == (2, False)
    current = annotations_of(world.database, world.project, held.item_id)
    every = annotations_of(world.database, world.project, held.item_id, all_versions=True)
    assert [said.version for said in current] == [2]
    assert [(said.version, said.supersedes_id) for said in every] == [(1, None), (2, first.annotation_id)]
    with pytest.raises(LeaseError):
        reopen(world.database, world.project, world.user("ann"), first.annotation_id)
    with pytest.raises(AccessError):
        reopen(world.database, world.project, world.user("bob"), second.annotation_id)


def test_work_is_listed_latest_first(world):
    world.items(3)
    for _ in range(3):
        world.submit("ann", world.claim())
        world.clock.advance(minutes=1)
    page = my_work(world.database, world.project, world.user("ann"), limit=2)
    assert page.total == 3
    assert [row.ext_id for row in page.rows] == ["item-2", "item-1"]
    assert my_work(world.database, world.project, world.user("bob")).total == 0


def test_the_trail_tells_what_happened(world):
    world.items(1)
    held = world.claim()
    world.submit("ann", held)
    kinds = [event.kind for event in history(world.database, subject=held.item_id).rows]
    assert kinds == ["annotation.submitted", "lease.claimed"]


def test_two_tabs_conflict_and_lose_nothing(world):
    world.items(1)
    held = world.claim()
    assert world.save("ann", held, 0, {"tab": 1}).rev == 1
    with pytest.raises(DraftConflictError) as conflict:
        world.save("ann", held, 0, {"tab": 2})
    assert conflict.value.current.document == {"tab": 1}
    assert world.save("ann", held, 1, {"tab": 2}).rev == 2


def test_a_save_whose_acknowledgement_was_lost_can_be_sent_again(world):
    world.items(1)
    held = world.claim()
    revs = [world.save("ann", held, 0, {"a": "🍎"}).rev for _ in range(2)]
    assert revs == [1, 1]


def test_drafts_outlive_submission(world):
    world.items(1)
    held = world.claim()
    world.save("ann", held, 0, {"body": {}, "log": [1]})
    world.submit("ann", held)
    saved = world.save("ann", held, 1, {"body": {}, "log": [1, 2]})
    assert saved.lease == "submitted"
    assert load_draft(world.database, world.user("ann"), held.item_id, 1).document["log"] == [1, 2]
    with pytest.raises(LeaseError):
        renew(world.database, world.project, world.user("ann"), lease_of(held))


def test_oversized_drafts_and_unknown_revisions_are_refused(world):
    world.items(1)
    held = world.claim()
    with pytest.raises(DataError, match="5,000,000"):
        world.save("ann", held, 0, {"a": "x" * 5_000_001})
    with pytest.raises(DataError, match="revision 3"):
        world.save("ann", held, 3, {})


def _citing(passage, sentences):
    return {"spans": [wrong_fact(evidence=[{"passage": passage, "sentences": sentences}])]}


BAD = {
    "quote of other words": ({"spans": [wrong_fact(quote="Ada was born in Rome.")]}, "spans.0.quote"),
    "offsets past the end": ({"spans": [wrong_fact(start=50, end=500)]}, "spans.0"),
    "reversed offsets": ({"spans": [wrong_fact(start=5, end=5, quote="")]}, "spans.0"),
    "unknown category": ({"spans": [wrong_fact(category="Boring")]}, "spans.0.category"),
    "category of missing information": ({"spans": [wrong_fact(category="Missing-Answer")]}, "spans.0.category"),
    "no evidence": ({"spans": [wrong_fact(evidence=[])]}, "spans.0.evidence"),
    "evidence beyond": (_citing(0, [7]), "spans.0.evidence.0.sentences"),
    "passage beyond": (_citing(3, [0]), "spans.0.evidence.0.passage"),
    "evidence of nothing": (_citing(0, []), "spans.0.evidence.0.sentences"),
    "missing, nobody says what": ({"missing": [{"category": "Missing-Answer", "comment": " "}]}, "missing.0.evidence"),
    "no antecedent": ({"spans": [repetition() | {"antecedent": None}]}, "spans.0.antecedent"),
    "antecedent behind": (
        {"spans": [repetition() | {"antecedent": {"start": 44, "end": 47, "text": "She"}}]}, "spans.0.antecedent"),
    "white space": ({"spans": [wrong_fact(start=21, end=22, quote=" ")]}, "spans.0"),
    "severity": ({"spans": [wrong_fact(severity="grave")]}, "spans.0.severity"),
    "overlap": ({"spans": [wrong_fact(), wrong_fact(id="b", start=4, end=21, quote=TEXT[4:21])]}, "spans.1"),
    "equal ids": ({"spans": [wrong_fact(), repetition() | {"id": "s1"}]}, "spans.1.id"),
    "other response": ({"spans": [wrong_fact(target="r2", end=2, quote="In")]}, "spans.0.target"),
    "nothing said": ({"comment": "fine"}, "no_errors"),
    "errors and none": ({"spans": [wrong_fact()], "no_errors": ["r1"]}, "no_errors"),
    "unasked edit": ({"no_errors": ["r1"], "corrections": [{"text": "x"}]}, "corrections"),
    "unasked preference": (
        {"no_errors": ["r1"], "preferences": [{"a": "r1", "b": "r2", "choice": "a"}]}, "preferences"),
    "unknown key": ({"no_errors": ["r1"], "extra": 1}, "extra"),
    "NUL": ({"no_errors": ["r1"], "comment": "a\0"}, "comment"),
    "lone surrogate": ({"no_errors": ["r1"], "comment": "\ud83d"}, "comment"),
    "negative offset": ({"spans": [wrong_fact(start=-1)]}, "spans.0.start"),
    "too many spans": ({"spans": [wrong_fact()] * 2001}, "spans"),
}  # fmt: skip


def test_what_no_passage_says_is_missing_in_words():
    world = shared_world()
    gap = {"category": "Missing-Answer", "comment": "who founded it"}
    item = get_item(world.database, world.project, world.claim().item_id)
    assert item.passages
    assert problems_of(Body.model_validate({"missing": [gap]}), item, world.project) == []


@pytest.mark.parametrize("case", BAD)
def test_bad_bodies_are_refused_with_their_place_and_nothing_is_stored(case):
    world = shared_world()
    body, where = BAD[case]
    held = world.claim()
    with pytest.raises(SubmissionError) as refused:
        world.submit("ann", held, body)
    assert where in [problem.place for problem in refused.value.problems]
    assert annotations_of(world.database, world.project, held.item_id) == []
    assert world.claim().lease_token == held.lease_token


def test_comparisons_and_edits_that_are_asked_for_must_be_there(place):
    world = World(place, preset("qa-feedback"))
    world.items(1)
    with pytest.raises(SubmissionError) as refused:
        world.submit("ann", world.claim(), {"no_errors": ["r1"], "corrections": [{"text": " "}]})
    assert {problem.place for problem in refused.value.problems} == {"corrections.0.reason", "preferences"}
    world.close()


def test_borders_inside_a_character_are_refused(world):
    world.items(1)
    item = get_item(world.database, world.project, world.claim().item_id)
    family = item.responses[0].model_copy(update={"text": "a 👨‍👩‍👧 b"})
    family = family.model_copy(update={"segments": family.segments.model_copy(update={"joined": (3, 4, 5, 6)})})
    item = item.model_copy(update={"responses": (family,)})
    body = Body.model_validate({"spans": [wrong_fact(start=2, end=4, quote="👨‍", category="Incoherent", evidence=[])]})
    assert [problem.place for problem in problems_of(body, item, world.project)] == ["spans.0"]


def test_doubts_are_told_but_allowed(place):
    world = World(place, preset("qa-feedback"))
    world.items(1)
    item = get_item(world.database, world.project, world.claim().item_id)
    cycle = [{"a": "r1", "b": "r2", "choice": "a"}, {"a": "r2", "b": "r1", "choice": "a"}]
    across = wrong_fact(end=43, quote=TEXT[:43])
    short = wrong_fact(id="b", start=44, end=47, quote="She", category="Irrelevant", evidence=[])
    body = Body.model_validate({"spans": [across, short], "corrections": [{"text": "Rome."}], "preferences": cycle})
    told = [caution.place for caution in cautions_of(body, item, world.project)]
    assert told == ["spans.0", "spans.1", "corrections.0", "preferences"]
    fine = Body.model_validate(FULL | {"spans": [wrong_fact()], "corrections": []})
    assert cautions_of(fine, item, world.project) == []
    world.close()


@settings(max_examples=25, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12))
def test_revisions_rise_by_one_whatever_is_saved(edits):
    """A model of two tabs: a save succeeds exactly when its tab knows the latest revision or repeats it."""
    world = shared_world()
    held = world.claim()
    current = load_draft(world.database, world.user("ann"), held.item_id, held.round)
    rev, document = (current.rev, current.document) if current else (0, None)
    for back, value in edits:
        base = max(0, rev - back)
        wanted = {"v": value}
        repeats = rev == base + 1 and document == wanted
        if base == rev or repeats:
            saved = world.save("ann", held, base, wanted)
            rev, document = (rev, document) if repeats else (rev + 1, wanted)
            assert saved.rev == rev
        else:
            with pytest.raises(DraftConflictError) as conflict:
                world.save("ann", held, base, wanted)
            assert (conflict.value.current.rev, conflict.value.current.document) == (rev, document)
