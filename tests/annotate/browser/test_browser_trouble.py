"""Lost connections, closed pages, two tabs: nothing that a person typed is lost."""

import pytest
from browser_server import FAIR
from gestures import becomes, eventually, press, ready, saved, until

from spanwise.annotate.people.logins import end_all_sessions, set_password
from spanwise.annotate.people.users import create_user, local_user
from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.work.drafts import load_draft

pytestmark = pytest.mark.browser
KEPT = """(async () => {
  const { mirror } = await import(document.querySelector("script[type=module]").src.replace("pages/work.js", "state/mirror.js"));
  const key = (await new Promise(done => { indexedDB.open("spanwise-drafts").onsuccess = event => {
    event.target.result.transaction("drafts").objectStore("drafts").getAllKeys().onsuccess = one => done(one.target.result); }; }))[0];
  return (await mirror.get(key))?.next?.document.body.spans.length === 2; })()"""  # noqa: E501 - a script
OFFLINE = ("net::ERR_INTERNET_DISCONNECTED", "409 (Conflict)")


def test_a_lost_connection_is_said_and_made_up_for(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work", allow=OFFLINE)
    ready(page)
    press(page, "1")
    saved(page)
    page.context.set_offline(True)
    press(page, "Escape", "2*ArrowRight", "5")
    page.wait_for_selector('[data-save="offline"]')
    assert "kept on this device" in page.inner_text(".bar")
    page.context.set_offline(False)
    saved(page)
    draft = load_draft(server.database, local_user(server.database), item_id, 1)
    assert draft is not None
    assert len(draft.document["body"]["spans"]) == 2


def test_a_page_closed_while_offline_brings_its_draft_back(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work", allow=OFFLINE)
    ready(page)
    page.context.set_offline(True)
    press(page, "1")
    page.wait_for_selector('[data-save="offline"]')
    context = page.context
    page.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(server.url + "/work")
    ready(again)
    again.wait_for_selector(".span")
    saved(again)
    draft = load_draft(server.database, local_user(server.database), item_id, 1)
    assert draft is not None
    assert len(draft.document["body"]["spans"]) == 1


def test_a_draft_saved_by_the_closing_page_itself_is_no_conflict(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    press(page, "1")
    page.wait_for_selector(".span")
    context = page.context
    page.close()  # before the answer to its last save can be noted on the device
    user = local_user(server.database)
    eventually(lambda: load_draft(server.database, user, item_id, 1) is not None)
    again = context.new_page()
    again.goto(server.url + "/work")
    ready(again)
    saved(again)
    assert again.locator(".span").count() == 1
    assert again.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("choice", ["Keep mine", "Take the other", "Close"])
def test_two_tabs_meet_a_question_not_a_loss(serve, visit, choice) -> None:
    server = serve()
    server.add(FAIR)
    first = visit(server, "/work", allow=OFFLINE)
    ready(first)
    second = first.context.new_page()
    second.goto(server.url + "/work")
    ready(second)
    first.wait_for_selector("text=open in another tab")
    press(second, "1")
    saved(second)
    first.bring_to_front()
    press(first, "3*ArrowRight", "5")
    first.wait_for_selector("dialog[open]")
    press(first, "4", "Control+z")  # no key reaches the page
    if choice == "Close":
        press(first, "Escape")
    else:
        first.click(f"dialog[open] button:has-text('{choice}')")
    saved(first)
    wanted = ["Kelwick"] if choice == "Take the other" else ["fair"]
    becomes(first.locator(".span q").all_inner_texts, wanted)
    first.reload()
    ready(first)
    becomes(first.locator(".span q").all_inner_texts, wanted)
    assert first.locator("dialog").count() == 0  # what was decided is not asked again
    press(first, "2*ArrowRight", "5")  # and saving goes on
    becomes(first.locator(".span").count, 2)
    saved(first)


def test_the_version_that_was_not_kept_stays_at_hand(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    first = visit(server, "/work", allow=OFFLINE)
    ready(first)
    second = first.context.new_page()
    second.goto(server.url + "/work")
    ready(second)
    press(second, "1")
    saved(second)
    first.bring_to_front()
    press(first, "3*ArrowRight", "5")
    first.wait_for_selector("dialog[open]")
    press(first, "Escape")
    saved(first)
    first.click(".notice button:has-text('Take it')")
    becomes(first.locator(".span q").all_inner_texts, ["Kelwick"])
    saved(first)
    first.click(".notice button:has-text('Take it')")
    becomes(first.locator(".span q").all_inner_texts, ["fair"])


def _lose_answers(page, address: str) -> list:
    """The server gets what is sent to `address`, but its answers never arrive; ends when the list is emptied."""
    lost = [True]

    def route(one) -> None:
        if not lost:
            one.continue_()
            return
        one.fetch()
        one.abort()

    page.route(address, route)
    return lost


def test_a_save_whose_answer_was_lost_is_no_conflict(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work", allow=("net::ERR_FAILED", *OFFLINE))
    ready(page)
    lost = _lose_answers(page, "**/draft")
    press(page, "1")
    page.wait_for_selector('[data-save="offline"]')
    user = local_user(server.database)
    eventually(lambda: load_draft(server.database, user, item_id, 1) is not None)
    press(page, "Escape", "3*ArrowRight", "5")  # the work goes on
    lost.clear()
    saved(page)
    assert page.locator("dialog[open]").count() == 0
    assert len(load_draft(server.database, user, item_id, 1).document["body"]["spans"]) == 2


def test_a_save_whose_answer_was_lost_is_no_conflict_after_a_reload_either(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    page = visit(server, "/work", allow=("net::ERR_FAILED", *OFFLINE))
    ready(page)
    _lose_answers(page, "**/draft")
    press(page, "1")
    page.wait_for_selector('[data-save="offline"]')
    press(page, "Escape", "3*ArrowRight", "5")
    eventually(lambda: load_draft(server.database, local_user(server.database), item_id, 1) is not None)
    until(page, KEPT)
    context = page.context
    page.close()
    again = context.new_page()
    again.goto(server.url + "/work")
    ready(again)
    saved(again)
    assert again.locator("dialog[open]").count() == 0
    assert again.locator(".span").count() == 2


def test_a_save_that_hangs_ends_and_does_not_hold_up_the_submission(serve, visit) -> None:
    server = serve("toxicity")
    (item_id,) = server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    page = visit(server, "/work", allow=("net::ERR_FAILED", *OFFLINE))
    ready(page)
    held: list = []
    page.route("**/draft", lambda route: held.append(route))  # noqa: PLW0108 - the driver marks what it is given
    press(page, "0")
    eventually(lambda: page.evaluate("1") and held)  # the driver hears of requests while it is asked something
    press(page, "Control+Enter")
    page.wait_for_selector(".nothing")
    assert annotations_of(server.database, server.project, item_id)


def test_every_request_ends_in_time(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work", allow=("net::ERR_FAILED", *OFFLINE))
    ready(page)
    page.route("**/draft", lambda route: None)  # never answered
    found = page.evaluate(
        """async base => { const { api } = await import(base + "api.js");
          try { await api("PUT", "/api/v1/items/x/draft", {}, { patience: 50 }); } catch (error) {
            return [error.status, error.detail]; } }""",
        f"{server.url}/static/{server.site.build}/",
    )
    assert found == [0, "The server does not answer."]


def test_a_submission_whose_answer_was_lost_is_sent_again_by_itself(serve, visit) -> None:
    server = serve("toxicity")
    (item_id,) = server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    page = visit(server, "/work", allow=("net::ERR_FAILED", *OFFLINE))
    ready(page)
    lost = _lose_answers(page, "**/submissions")
    press(page, "0", "Control+Enter")
    eventually(lambda: page.evaluate("1") and annotations_of(server.database, server.project, item_id))
    lost.clear()
    page.wait_for_selector(".nothing")
    assert len(annotations_of(server.database, server.project, item_id)) == 1


def test_who_is_logged_out_logs_in_within_the_page_and_goes_on(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    user = create_user(server.database, "ann", role="annotator")
    set_password(server.database, "ann", "correct horse battery")
    page = visit(server, "/login", name=None, allow=("401", "403", *OFFLINE))
    page.fill("[name=name]", "ann")
    page.fill("[name=password]", "correct horse battery")
    press(page, "Enter")
    page.wait_for_url("**/work")
    ready(page)
    end_all_sessions(server.database, user)
    press(page, "1")
    page.wait_for_selector("dialog:has-text('You are logged out')")
    page.fill("dialog [name=name]", "ann")
    page.fill("dialog [name=password]", "wrong")
    press(page, "Enter")
    page.wait_for_selector("dialog .notice.bad")
    page.fill("dialog [name=password]", "correct horse battery")
    press(page, "Enter")
    saved(page)
    assert page.locator("dialog").count() == 0
    assert len(load_draft(server.database, user, item_id, 1).document["body"]["spans"]) == 1


def test_nobody_else_goes_on_with_the_work_of_who_was_logged_out(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR)
    other = create_user(server.database, "ben", role="annotator")
    set_password(server.database, "ben", "correct horse battery")
    page = visit(server, "/work", allow=("401", *OFFLINE))
    ready(page)
    end_all_sessions(server.database, local_user(server.database))
    press(page, "1")
    page.wait_for_selector("dialog:has-text('You are logged out')")
    page.fill("dialog [name=name]", "ben")
    page.fill("dialog [name=password]", "correct horse battery")
    press(page, "Enter")
    page.wait_for_selector("dialog:has-text('another account')")
    assert load_draft(server.database, other, item_id, 1) is None
