"""Adjudicating: what is seen, what is decided, how the result is made one's own, and that nothing of it is lost."""

import pytest
from browser_server import FAIR
from gestures import becomes, eventually, press, saved, until

from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.work.queue import claim
from spanwise.annotate.work.submission import Submission, submit

pytestmark = pytest.mark.browser
TEXT = FAIR.responses[0].text
EDIT = TEXT.replace("June", "May")


def span(words: str, category: str = "Incoherent", **more) -> dict:
    start = TEXT.index(words)
    return {"id": words, "start": start, "end": start + len(words), "quote": words, "category": category, **more}


def say(server, item_id: str, name: str, *spans: dict, edit: str = TEXT, prefers: str = "b", **more) -> None:
    """An annotation of `item_id` by a new user."""
    user = create_user(server.database, name)
    lent = claim(server.database, server.project, user, item_id=item_id)
    body = {
        "spans": spans,
        "corrections": [{"text": edit}],
        "preferences": [{"a": "r1", "b": "r2", "choice": prefers}],
        **({} if spans or "missing" in more else {"no_errors": ["r1"]}),
        **more,
    }
    lease = {"item_id": item_id, "round": lent.round, "lease_token": lent.lease_token}
    sent = Submission(**lease, client_submission_id=f"{name}-{item_id}", body=body)
    submit(server.database, server.project, user, sent)


def disputed(server) -> str:
    """An item on which two people agree in nothing but one mark."""
    (item_id,) = server.add(FAIR, overlap=2)
    proof = [{"passage": 0, "sentences": [1]}]
    said = span("June.", "Wrong-Grounding", evidence=proof, comment="It is May.")
    say(server, item_id, "ann", said, span("The wall"), edit=EDIT)
    say(
        server,
        item_id,
        "ben",
        span("June.", "Wrong-Grounding", evidence=[{"passage": 0, "sentences": [0]}]),
        prefers="tie",
    )
    return item_id


def verdicts(server, item_id: str) -> list:
    return [one for one in annotations_of(server.database, server.project, item_id) if one.kind == "adjudicated"]


def opened(serve, visit):
    """A server with a disputed item, and its page."""
    server = serve()
    item_id = disputed(server)
    page = visit(server, f"/adjudicate/{item_id}")
    page.wait_for_selector(".candidate")
    return server, item_id, page


def test_all_that_people_saw_is_on_the_page(serve, visit) -> None:
    _, _, page = opened(serve, visit)
    shown = page.inner_text(".judge")
    for passage in FAIR.passages:
        assert all(sentence in shown for sentence in (passage.title, *passage.sentences))
    assert all(response.text in shown.replace("\n", "") for response in FAIR.responses)
    page.locator(".candidate").first.click()
    details = page.inner_text(".details")
    assert "Its fair is held in the second week of May." in details
    assert "Kelwick is a market town on the river Aeleen." in details  # what the other one cites
    assert "It is May." in details
    assert page.locator(".lane").count() == 2


def test_decisions_are_kept_on_the_server_as_they_are_made(serve, visit) -> None:
    server, item_id, page = opened(serve, visit)
    becomes(page.locator(".candidate.accepted").count, 1)
    press(page, "r")
    becomes(page.locator(".candidate.rejected").count, 1)
    page.fill("[aria-label=Comment]", "the wall stands")
    saved(page)
    other = visit(server, f"/adjudicate/{item_id}")  # another browser of the same person
    other.wait_for_selector(".candidate.rejected")
    assert other.input_value("[aria-label=Comment]") == "the wall stands"
    press(other, "20*Control+z")  # undo outlives the browser
    becomes(other.locator(".candidate.rejected").count, 0)
    assert verdicts(server, item_id) == []


def test_each_decision_is_undone_comparisons_and_edits_too(serve, visit) -> None:
    _, _, page = opened(serve, visit)
    page.click('[data-tab="compare"]')
    page.locator(".comparison label").first.click()
    becomes(page.locator(".comparison input:checked").count, 1)
    page.click('[data-tab="edit"]')
    page.locator(".comparison label").first.click()
    becomes(page.locator(".comparison input:checked").count, 1)
    page.click("button:has-text('Undo')")
    becomes(page.locator(".comparison input:checked").count, 0)
    page.click('[data-tab="compare"]')
    becomes(page.locator(".comparison input:checked").count, 1)
    page.click("button:has-text('Undo')")
    becomes(page.locator(".comparison input:checked").count, 0)


def test_the_result_is_cut_marked_and_edited_like_any_response(serve, visit) -> None:
    server, item_id, page = opened(serve, visit)
    page.locator(".candidate").nth(1).click()
    press(page, "a", "}", "c")  # the wall was: cut anew, with a comment
    page.keyboard.type("tense")
    press(page, "Enter")
    page.locator("#response").focus()
    press(page, "Escape", "Home", "Shift+ArrowRight", "5")  # a mark that nobody had made
    becomes(page.locator(".span").count, 3)
    page.click('[data-tab="edit"]')
    page.locator(".comparison label", has_text="ann").or_(
        page.locator(".comparison label", has_text="June")
    ).first.click()
    page.fill("#correction", EDIT.replace("1841", "1842"))
    page.click('[data-tab="compare"]')
    page.locator(".verdicts [data-choice=both_bad]").click()  # as neither of the two said
    press(page, "Control+Enter")
    page.wait_for_url("**/adjudicate")
    (said,) = verdicts(server, item_id)
    marks = [(one.quote, one.category, one.comment) for one in said.body.spans]
    assert marks == [
        ("Kelwick holds", "Incoherent", ""),
        ("June.", "Wrong-Grounding", said.body.spans[1].comment),
        ("The wall was", "Incoherent", "tense"),
    ]
    assert said.body.corrections[0].text == EDIT.replace("1841", "1842")
    assert [one.choice for one in said.body.preferences] == ["both_bad"]


def test_what_overlaps_is_replaced_where_marks_may_not_overlap(serve, visit) -> None:
    server = serve()
    (item_id,) = server.add(FAIR, overlap=2)
    say(server, item_id, "ann", span("its fair in June."))
    say(server, item_id, "ben", span("in June.", "Unverifiable"), answers=[{"key": "read_passages", "value": "yes"}])
    page = visit(server, f"/adjudicate/{item_id}")
    page.wait_for_selector(".candidate")
    press(page, "a")
    becomes(page.locator(".candidate.accepted").count, 1)
    press(page, "a")  # the other takes its place
    becomes(page.locator(".candidate.rejected").count, 1)
    becomes(page.locator(".candidate.accepted").count, 1)
    assert page.locator(".span").count() == 1
    press(page, "Control+z")
    becomes(page.locator(".candidate.rejected").count, 0)


def test_one_item_follows_the_other(serve, visit) -> None:
    server = serve()
    ids = [server.add(FAIR.model_copy(update={"id": f"item-{n}"}), overlap=2)[0] for n in range(3)]
    for n, item_id in enumerate(ids):
        say(server, item_id, f"ann{n}", span("The wall"))
        say(server, item_id, f"ben{n}", *([span("The wall")] if n == 0 else []), prefers="b" if n < 2 else "tie")
    page = visit(server, "/adjudicate")
    first = page.locator("tbody a").first.get_attribute("href")
    page.goto(server.url + first)
    page.wait_for_selector(".candidate")
    press(page, "n")  # without a decision
    page.wait_for_url(lambda url: not url.endswith(first))
    page.wait_for_selector(".candidate")
    second = page.url
    press(page, "r" if page.locator(".candidate.accepted").count() == 0 else "a")
    if page.locator(".candidate").count():
        press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != second and "/next" not in url)
    assert page.url.rpartition("/")[2] in {*ids, "adjudicate"}
    assert not page.url.endswith(first)


def test_a_verdict_is_opened_again_as_it_was(serve, visit) -> None:
    server, item_id, page = opened(serve, visit)
    press(page, "r")
    page.locator("#response").focus()
    press(page, "Home", "5")
    page.click('[data-tab="edit"]')
    page.locator(".comparison label").first.click()
    page.click('[data-tab="compare"]')
    page.locator(".comparison label").first.click()
    press(page, "Control+Enter")
    eventually(lambda: verdicts(server, item_id))
    page.wait_for_url("**/adjudicate")
    page.goto(f"{server.url}/adjudicate/{item_id}")
    page.wait_for_selector(".candidate.rejected")
    assert page.locator(".span q").all_inner_texts() == ["Kelwick", "June."]
    until(page, "document.querySelectorAll('.candidate.accepted').length === 1")
