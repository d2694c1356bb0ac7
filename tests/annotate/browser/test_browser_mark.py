"""Marking spans, by keyboard alone and by mouse: from the printed address to the stored annotation."""

import pytest
from browser_server import FAIR
from gestures import becomes, drag, eventually, press, ready, saved, until

from spanwise.annotate.people.logins import one_time_login
from spanwise.annotate.people.users import local_user
from spanwise.annotate.store.annotations import annotations_of

pytestmark = pytest.mark.browser
TEXT = FAIR.responses[0].text


def stored(server, item_id):
    """The annotations of an item, once there is one."""
    eventually(lambda: annotations_of(server.database, server.project, item_id))
    return annotations_of(server.database, server.project, item_id)


def test_keyboard_alone_marks_links_edits_compares_and_submits(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, f"/login/once?key={one_time_login(server.database, local_user(server.database))}", name=None)
    page.wait_for_url("**/overview")
    page.goto(server.url + "/work")
    ready(page)
    # "June." contradicts sentence 1.2: the caret stands on the first word
    press(page, "5*ArrowRight", "3")
    page.wait_for_selector(".mode-help")
    page.keyboard.type("1.2")
    press(page, "Enter", "Enter")
    # the last clause repeats what the sentence says first
    press(page, "End", "3*Shift+ArrowLeft", "2")
    press(page, "12*ArrowRight", "2*Shift+ArrowRight", "Enter")
    # dried fish is missing: sentence 2.2
    press(page, "m", "1")
    page.keyboard.type("2.2")
    press(page, "Space", "Enter")
    press(page, "Alt+2")
    page.wait_for_selector("#correction:focus")
    press(page, "Control+Home", "5*Control+ArrowRight", "Control+Shift+End")
    page.keyboard.type(" May.")
    press(page, "Alt+3")
    page.wait_for_selector(".answer-card")
    until(page, "!document.querySelector('.unread')")
    order = page.eval_on_selector_all(".answer-card .text", "cards => cards.map(card => card.textContent)")
    press(page, "1" if "May" in order[0] else "2", "Control+Enter")

    (said,) = stored(server, item_id)
    body = said.body
    wrong, again = body.spans
    assert (wrong.category, wrong.quote, wrong.evidence[0].passage, wrong.evidence[0].sentences) == (
        "Wrong-Grounding", "June.", 0, (1,),
    )  # fmt: skip
    assert (again.category, again.quote) == ("Redundant", "and it exports sails.")
    assert again.antecedent is not None
    assert again.antecedent.text == "It exports sails,"
    assert [(gap.category, gap.evidence.passage, gap.evidence.sentences) for gap in body.missing] == [
        ("Missing-Answer", 1, (1,))
    ]
    assert body.corrections[0].text == "Kelwick holds its fair in May."
    (choice,) = body.preferences
    better = choice.a if choice.choice == "a" else choice.b
    assert better == "r2"
    assert said.active_ms > 0


@pytest.mark.parametrize("passages", [(), FAIR.passages], ids=["without passages", "in no passage"])
def test_what_no_passage_says_is_missing_in_words(serve, visit, passages) -> None:
    server = serve()
    object.__setattr__(server.site.project.config, "tasks", ("spans",))
    (item_id,) = server.add(FAIR.model_copy(update={"passages": passages, "responses": FAIR.responses[:1]}))
    page = visit(server, "/work")
    ready(page)
    press(page, "m", "1")
    if passages:
        press(page, "Enter", "Control+Enter")
        page.wait_for_selector("text=or write what it is.")  # it is not submitted with nothing said
        page.locator(".span.missing").get_by_role("button", name="Comment").click()
    page.wait_for_selector(".missing .note:focus")
    page.keyboard.type("who runs the fair")
    press(page, "Enter", "Control+Enter")
    (said,) = stored(server, item_id)
    assert [(gap.category, gap.evidence, gap.comment) for gap in said.body.missing] == [
        ("Missing-Answer", None, "who runs the fair")
    ]
    page.goto(f"{server.url}/reopen/{said.id}")
    ready(page)
    becomes(page.locator(".missing .note").input_value, "who runs the fair")


def test_mouse_alone_marks_and_links(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    start = TEXT.index("June")
    drag(page, start + 1, start + 3)  # within the word: it snaps to the whole
    page.click('[data-category="Wrong-Grounding"]')
    page.click("#sentence-0-1")
    page.click(".mode-help button")
    sentence = TEXT.index("The wall")
    drag(page, sentence, sentence + len("The wall was built in 1841."))
    page.click('[data-category="Irrelevant"]')
    page.click('[data-tab="edit"]')
    page.fill("#correction", "Kelwick holds its fair in May. It exports sails.")
    becomes(page.locator(".ticks .done").count, 2)
    assert "words changed" in page.inner_text(".meter")
    page.click('[data-tab="compare"]')
    page.click('[data-choice="tie"]')
    until(page, "!document.querySelector('.unread')")
    page.click("button.primary")
    (said,) = stored(server, item_id)
    assert [(span.category, span.quote) for span in said.body.spans] == [
        ("Wrong-Grounding", "June."), ("Irrelevant", "The wall was built in 1841."),
    ]  # fmt: skip
    assert said.body.preferences[0].choice == "tie"


def test_refining_a_span_undo_and_reload(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "ArrowRight", "5")  # "holds" is incoherent
    row = page.locator(".span q").first
    becomes(row.inner_text, "holds")
    press(page, "}")
    becomes(row.inner_text, "holds its")
    press(page, "[")
    becomes(row.inner_text, "Kelwick holds its")
    press(page, "]", "{")
    becomes(row.inner_text, "holds")
    press(page, "x")  # the selection, not the span, grows
    press(page, "Tab", "4", "c")
    page.keyboard.type("odd")
    press(page, "Enter")
    saved(page)
    page.reload()
    ready(page)
    assert page.locator(".span .chip").first.inner_text() == "Unverifiable fact"
    becomes(page.locator(".note").input_value, "odd")
    page.locator("#response").focus()
    press(page, "20*Control+z")  # undo outlives the reload
    becomes(page.locator(".span").count, 0)
    press(page, "20*Control+Shift+z")
    becomes(page.locator(".span .chip").first.inner_text, "Unverifiable fact")
    page.locator("#response").focus()
    press(page, "Tab", "Delete")
    becomes(page.locator(".span").count, 0)


def test_no_errors_is_an_answer_and_an_empty_page_is_none(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    page = visit(server, "/work")
    ready(page)
    press(page, "Control+Enter")
    page.wait_for_selector("[data-problems]")
    assert "no errors" in page.inner_text("[data-problems]")
    assert not annotations_of(server.database, server.project, item_id)
    press(page, "1", "0")  # with a mark, "no errors" asks first
    page.wait_for_selector("dialog[open]")
    page.click("dialog .primary")
    becomes(page.locator(".span").count, 0)
    page.locator("#response").focus()
    press(page, "Control+Enter")
    (said,) = stored(server, item_id)
    assert said.body.no_errors == ("r1",)
    assert said.body.spans == ()


def test_skip_asks_for_a_reason_and_goes_on(serve, visit) -> None:
    server = serve()
    first, _ = server.add(FAIR, FAIR.model_copy(update={"id": "second"}))
    page = visit(server, "/work")
    ready(page)
    press(page, "Control+Alt+k")
    page.keyboard.type("not my subject")
    press(page, "Enter")
    until(page, f"document.querySelector('.work')?.dataset.item !== '{first}'")
    ready(page)
    page.goto(server.url + "/mine")
    page.wait_for_selector("main:has-text('not my subject')")


def test_overlap_is_refused_where_the_project_forbids_it(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "ArrowRight", "Shift+ArrowRight", "1", "Escape", "Home", "2*ArrowRight", "1")
    page.wait_for_selector(".notices:has-text('may not overlap')")
    assert page.locator(".span").count() == 1
