"""A key goes where the key before it led: nothing waits for a frame or a timer, however slow the browser is."""

import dataclasses

import pytest
from browser_server import FAIR
from gestures import becomes, press, ready, saved, until

pytestmark = pytest.mark.browser

AT_ONCE = """async ([keys, wanted]) => {
  for (const key of keys) {
    const [name, ...modifiers] = key.split("+").reverse();
    const held = Object.fromEntries(modifiers.map(one => [{Control: "ctrlKey", Alt: "altKey", Shift: "shiftKey"}[one], true]));
    const code = /^[0-9]$/.test(name) ? `Digit${name}` : "";
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: name, code, bubbles: true, cancelable: true, ...held}));
    for (let turn = 0; turn < 8; turn += 1) await null;  // microtasks alone: no frame, no timer
  }
  return [document.activeElement.matches(wanted), document.activeElement.outerHTML.slice(0, 200)];
}"""  # noqa: E501 - one gesture in a script


def lands(page, keys: list[str], wanted: str) -> None:
    """Presses keys within one task of the browser; the focus must then be on `wanted`."""
    right, found = page.evaluate(AT_ONCE, [keys, wanted])
    assert right, (keys, wanted, found)


def test_the_focus_moves_before_the_next_key(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    ready(page)
    lands(page, ["5"], "#response")
    lands(page, ["c"], ".note")
    lands(page, ["Enter"], "#response")
    lands(page, ["e"], "#passages")
    lands(page, ["Enter"], "#response")
    lands(page, ["m", "1"], "#passages")
    lands(page, ["Escape"], "#response")
    lands(page, ["Alt+2"], "#correction")
    lands(page, ["Alt+3"], ".compare [tabindex='0']")
    lands(page, ["Alt+1"], "#response")
    lands(page, ["Control+Alt+k"], "dialog input")
    assert page.locator(".span").count() == 2
    press(page, "Escape")
    becomes(page.locator("dialog").count, 0)
    until(page, "document.activeElement.id === 'response'")
    lands(page, ["?"], "dialog button")
    lands(page, ["5", "Delete", "0"], "dialog button")  # keys stay in the dialog
    assert page.locator(".span").count() == 2


def test_the_board_moves_the_card_that_was_just_chosen(serve, visit) -> None:
    server = serve("preference")
    config = server.project.config.model_copy(update={"pairs": "ranking"})
    object.__setattr__(server.site, "project", dataclasses.replace(server.project, config=config))
    more = FAIR.responses[0].model_copy(update={"text": "In May."})
    server.add(FAIR.model_copy(update={"responses": (*FAIR.responses, more)}))
    page = visit(server, "/work")
    page.wait_for_selector(".board-card")
    order = page.eval_on_selector_all(".board-card", "cards => cards.map(card => card.dataset.card)")
    page.locator(".board-card").first.focus()
    lands(page, ["ArrowDown", "ArrowDown", "Alt+ArrowUp"], f'[data-card="{order[2]}"]')
    now = page.eval_on_selector_all(".board-card", "cards => cards.map(card => card.dataset.card)")
    assert now == [order[0], order[2], order[1]]


def test_nothing_changes_while_a_submission_travels(serve, visit) -> None:
    server = serve("toxicity")
    server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    page = visit(server, "/work", allow=("503",))
    ready(page)
    press(page, "0")
    saved(page)
    held = []
    page.route("**/submissions", lambda route: held.append(route))  # noqa: PLW0108 - the driver marks what it is given
    press(page, "Control+Enter")
    until(page, "document.querySelector('.work').inert")
    becomes(lambda: len(held), 1)
    press(page, "2", "Control+z")  # would be lost: what was sent is sent
    assert "Marked as free of errors" in page.inner_text(".main-column")
    held[0].fulfill(status=503, json={"detail": "Not now."})
    page.wait_for_selector("text=Not now.")
    until(page, "document.activeElement.id === 'response'")
    press(page, "2")
    becomes(page.locator(".span").count, 1)
