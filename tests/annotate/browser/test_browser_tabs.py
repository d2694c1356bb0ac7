"""Editing with a live diff, comparing and ranking, adjudicating: the other walk-throughs of the working pages."""

import dataclasses

import pytest
from browser_server import FAIR
from gestures import becomes, eventually, press, ready, saved, until

from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.work.queue import claim
from spanwise.annotate.work.submission import Submission, submit
from spanwise.feedback.schema import FeedbackRecord, Response

pytestmark = pytest.mark.browser


def test_edit_diff_meter_ticks_and_taking_one_change_back(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "5*ArrowRight", "5", "Alt+2")
    page.wait_for_selector("#correction:focus")
    press(page, "Control+a")
    page.keyboard.insert_text(FAIR.responses[0].text.replace("June", "May").replace(", and it exports sails", ""))
    becomes(page.locator("#diff .change").count, 2)
    assert "of 19 words changed" in page.inner_text(".meter")
    assert page.locator(".ticks .done").count() == 1
    press(page, "F8", "F8", "Alt+Backspace")  # the second change goes back, the first stays
    becomes(page.locator("#diff .change").count, 1)
    assert page.input_value("#correction") == FAIR.responses[0].text.replace("June", "May")
    press(page, "Alt+d")
    becomes(page.locator("#diff.sides").count, 1)
    press(page, "Control+Alt+r")
    becomes(page.locator("#diff del").count, 0)
    press(page, "Escape")
    page.locator("#diff").focus()
    press(page, "Control+z")
    becomes(lambda: page.input_value("#correction"), FAIR.responses[0].text.replace("June", "May"))
    press(page, "Control+a", "Alt+2")
    page.fill("#correction", "")
    press(page, "Alt+1", "Control+Enter")
    page.wait_for_selector("[data-problems]")


def test_changes_are_offered_as_spans(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "Alt+2")
    page.fill("#correction", FAIR.responses[0].text.replace("1841", "1842"))
    press(page, "Alt+s")
    page.wait_for_selector("#response:focus")
    press(page, "5")
    becomes(page.locator(".span q").inner_text, "1841.")


def test_contradicting_comparisons_are_shown_and_the_order_is_the_recorded_one(serve, visit) -> None:
    server = serve("preference")
    texts = ("Alpha is one.", "Beta is two.", "Gamma is three.")
    (item_id,) = server.add(
        FeedbackRecord(id="three", prompt="Which?", responses=tuple(Response(text=text) for text in texts))
    )
    page = visit(server, "/work")
    page.wait_for_selector(".pair")
    until(page, "!document.querySelector('.unread')")
    press(page, "1", "2", "1")  # A>B, A<C, B>C
    page.wait_for_selector(".clash")
    assert "but" in page.inner_text(".clash")
    becomes(page.locator(".answer-card").count, 2)
    page.locator(".pair-list button").nth(0).click()
    until(page, "!document.querySelector('.unread')")
    page.locator(".pair-list button").nth(2).click()
    until(page, "!document.querySelector('.unread')")
    press(page, "d")
    page.wait_for_selector(".answer-card mark")
    press(page, "Control+Enter")
    eventually(lambda: annotations_of(server.database, server.project, item_id))
    (said,) = annotations_of(server.database, server.project, item_id)
    order = said.body.preferences[0].a, said.body.preferences[0].b, said.body.preferences[1].b
    assert [(one.a, one.b) for one in said.body.preferences] == [(order[0], order[1]), (order[0], order[2]), order[1:]]
    assert [one.choice for one in said.body.preferences] == ["a", "b", "a"]


def test_ranking_by_keys_with_a_tie(serve, visit, tmp_path) -> None:
    server = serve("preference")
    server.project = _ranking(server)
    (item_id,) = server.add(
        FeedbackRecord(id="three", prompt="Which?", responses=tuple(Response(text=f"Answer {n}.") for n in range(3)))
    )
    page = visit(server, "/work")
    page.wait_for_selector(".board-card")
    order = page.eval_on_selector_all(".board-card", "cards => cards.map(card => card.dataset.card)")
    page.locator(".board-card").first.focus()
    press(page, "ArrowDown", "Alt+ArrowUp")  # the second goes up
    until(page, f"document.querySelector('.board-card').dataset.card === '{order[1]}'")
    page.locator(f'[data-card="{order[2]}"]').focus()
    press(page, "t")
    until(page, "document.querySelectorAll('.tier').length === 2")
    saved(page)
    press(page, "Control+Enter")
    eventually(lambda: annotations_of(server.database, server.project, item_id))
    (said,) = annotations_of(server.database, server.project, item_id)
    assert said.body.rankings[0].tiers == ((order[1],), (order[0], order[2]))


def _ranking(server):
    """The project of a running server, from now on with a ranking in place of pairs."""
    config = server.project.config.model_copy(update={"pairs": "ranking"})
    changed = dataclasses.replace(server.project, config=config)
    object.__setattr__(server.site, "project", changed)
    return changed


def test_adjudication_in_lanes_by_keys(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR, overlap=2)
    text = FAIR.responses[0].text
    june, wall = text.index("June."), text.index("The wall")
    for name, marks in (("ann", [(june, 5), (wall, 27)]), ("ben", [(june, 5)])):
        _say(server, item_id, name, [(start, start + length) for start, length in marks])
    page = visit(server, "/adjudicate")
    page.click("tbody a")
    page.wait_for_selector(".candidate")
    assert page.locator(".lane").count() == 2
    assert page.locator(".candidate.accepted").count() == 1  # both marked June
    press(page, "r", "Control+Enter")
    page.wait_for_url("**/adjudicate")
    verdict = [one for one in annotations_of(server.database, server.project, item_id) if one.kind == "adjudicated"]
    assert [span.quote for span in verdict[0].body.spans] == ["June."]


def test_adjudication_of_missing_information_and_of_comparisons(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR, overlap=3)
    fair = {"category": "Missing-Answer", "evidence": {"passage": 0, "sentences": [1]}}
    fish = {"category": "Missing-Answer", "evidence": {"passage": 1, "sentences": [1]}}
    for name, missing, prefers in (
        ("ann", [fair, fish], ("r1", "r2", "b")),
        ("ben", [fair], ("r2", "r1", "a")),  # the same, but shown the other way round
        ("cem", [fair], ("r1", "r2", "tie")),
    ):
        _say(server, item_id, name, [], missing=missing, prefers=prefers)
    page = visit(server, f"/adjudicate/{item_id}")
    page.wait_for_selector(".candidate")
    becomes(page.locator(".candidate").count, 2)
    assert page.locator(".candidate.accepted").inner_text().count("Its fair is held in the second week of May.") == 1
    press(page, "r", "Control+Enter")
    page.wait_for_selector("text=Choose whose comparison holds")
    ways = page.locator(".comparison label")
    assert sorted(way.split(" ")[:3] for way in ways.all_inner_texts()) == [["1", "<", "2"], ["1", "=", "2"]]
    ways.filter(has_text="1 < 2").locator("input").check()
    press(page, "Control+Enter")
    page.wait_for_url("**/adjudicate")
    (verdict,) = [one for one in annotations_of(server.database, server.project, item_id) if one.kind == "adjudicated"]
    assert [gap.evidence.sentences for gap in verdict.body.missing] == [(1,)]
    assert [(one.a, one.b, one.choice) for one in verdict.body.preferences] == [("r1", "r2", "b")]
    assert verdict.body.no_errors == ()


def test_adjudication_of_what_no_passage_says(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR, overlap=2)
    gaps = [{"category": "Missing-Answer", "comment": words} for words in ("who runs it", "what it costs")]
    _say(server, item_id, "ann", [], missing=gaps)
    _say(server, item_id, "ben", [], missing=gaps[:1])
    page = visit(server, f"/adjudicate/{item_id}")
    page.wait_for_selector(".candidate")
    becomes(page.locator(".candidate").count, 2)
    assert "who runs it" in page.locator(".candidate.accepted").inner_text()
    press(page, "a", "Control+Enter")
    page.wait_for_url("**/adjudicate")
    (verdict,) = [one for one in annotations_of(server.database, server.project, item_id) if one.kind == "adjudicated"]
    assert [(gap.evidence, gap.comment) for gap in verdict.body.missing] == [(None, one["comment"]) for one in gaps]
    page.goto(f"{server.url}/adjudicate/{item_id}")  # the decision in force stands there again
    page.wait_for_selector(".candidate")
    becomes(page.locator(".candidate.accepted").count, 2)


def _say(
    server,
    item_id: str,
    name: str,
    spans: list[tuple[int, int]],
    *,
    missing: list | None = None,
    prefers: tuple[str, str, str] = ("r1", "r2", "b"),
) -> None:
    """An annotation of `item_id` by a new user."""
    user = create_user(server.database, name)
    lent = claim(server.database, server.project, user, item_id=item_id)
    text = FAIR.responses[0].text
    body = {
        "spans": [
            {"id": f"s{n}", "start": start, "end": end, "quote": text[start:end], "category": "Incoherent"}
            for n, (start, end) in enumerate(spans)
        ],
        "corrections": [{"text": text}],
        "missing": missing or [],
        "preferences": [dict(zip(("a", "b", "choice"), prefers, strict=True))],
    }
    lease = {"item_id": item_id, "round": lent.round, "lease_token": lent.lease_token}
    submit(
        server.database, server.project, user, Submission(**lease, client_submission_id=f"{name}-{item_id}", body=body)
    )
