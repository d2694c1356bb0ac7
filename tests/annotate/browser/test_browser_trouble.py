"""Lost connections, closed pages, two tabs: nothing that a person typed is lost."""

import pytest
from browser_server import FAIR
from gestures import becomes, eventually, press, ready, saved

from spanwise.annotate.people.users import local_user
from spanwise.annotate.work.drafts import load_draft

pytestmark = pytest.mark.browser
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


@pytest.mark.parametrize("choice", ["Keep mine", "Take the other"])
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
    press(first, "Escape", "Escape", "4", "Control+Enter")  # no way round the question, and no key reaches the page
    first.click(f"dialog[open] button:has-text('{choice}')")
    saved(first)
    wanted = ["fair"] if choice == "Keep mine" else ["Kelwick"]
    becomes(first.locator(".span q").all_inner_texts, wanted)
    first.reload()
    ready(first)
    becomes(first.locator(".span q").all_inner_texts, wanted)
    assert first.locator("dialog").count() == 0  # what was decided is not asked again
