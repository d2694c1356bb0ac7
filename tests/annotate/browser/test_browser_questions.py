"""Asking the manager from the page to work on."""

import pytest
from browser_server import FAIR
from gestures import press, ready

from spanwise.annotate.manage import list_threads, reply
from spanwise.annotate.people.users import local_user

pytestmark = pytest.mark.browser


def test_a_question_is_asked_by_key_and_its_answer_read_there(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work", name="ann", role="annotator")
    ready(page)
    press(page, "q")
    page.wait_for_selector("dialog[open]")
    page.keyboard.type("Is <June> wrong?")
    page.click("dialog[open] button.primary")
    page.wait_for_selector("dialog[open] .thread")
    boss = local_user(server.database)
    (asked,) = list_threads(server.database, server.project, boss).rows
    assert (asked.by, asked.content, asked.ext_id) == ("ann", "Is <June> wrong?", "fair")
    reply(server.database, server.project, asked.id, "Yes: May.", by=boss)
    press(page, "Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    press(page, "q")
    page.wait_for_selector("dialog[open] .answer")
    assert "Yes: May." in page.locator("dialog[open]").inner_text()
    press(page, "Escape")
    page.goto(server.url + "/questions")
    assert "Yes: May." in page.locator("main").inner_text()
