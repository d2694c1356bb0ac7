"""No page is wider than its window: on a desk, at twice the size, on a phone; with long labels and many categories."""

import dataclasses

import pytest
from browser_server import FAIR
from gestures import becomes, press, ready
from test_browser_access import PAGES
from test_browser_adjudicate import disputed

from spanwise.annotate.store.project import CategoryConfig

pytestmark = pytest.mark.browser
WINDOWS = {"desk": (1360, 800), "twice the size": (680, 400), "phone": (390, 780)}
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen"
BEYOND = """() => [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    const hidden = ".scroll, pre, .top nav, .visually-hidden, dialog:not([open]), [inert]";
    return box.width && box.right > innerWidth + 1 && !element.closest(hidden);
  }).map(element => `${element.tagName}.${element.className} reaches ${element.getBoundingClientRect().right}`)
    .concat(document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : []).slice(0, 5)"""


def wordy(server) -> None:
    """Gives the project of a running server a long title and many categories with long labels."""
    config = server.project.config
    more = tuple(
        CategoryConfig(
            name=f"c{n}",
            label=LONG if n % 2 else f"A label of many words, number {n}",
            severities=("very mild indeed", LONG) if n % 3 == 0 else (),
            hotkey="y" if n == 11 else "",
        )
        for n in range(20)
    )
    changed = config.model_copy(update={"categories": config.categories + more, "title": f"{LONG} {LONG}"})
    object.__setattr__(server.site, "project", dataclasses.replace(server.project, config=changed))


@pytest.mark.parametrize("window", WINDOWS)
def test_no_page_is_wider_than_its_window(serve, visit, window) -> None:
    server = serve()
    item_id = disputed(server)
    server.add(FAIR.model_copy(update={"id": f"{LONG}-{LONG}"}))
    wordy(server)
    page = visit(server, "/work")
    width, height = WINDOWS[window]
    page.set_viewport_size({"width": width, "height": height})
    found = {}
    ready(page)
    page.locator("#response").focus()
    press(page, "End")
    page.click('[data-category="c3"]')
    page.wait_for_selector(".span")
    found["mark"] = page.evaluate(BEYOND)
    page.click('[data-tab="edit"]')
    found["edit"] = page.evaluate(BEYOND)
    page.click('[data-tab="compare"]')
    found["compare"] = page.evaluate(BEYOND)
    for path in (f"/adjudicate/{item_id}", f"/items/{item_id}", *PAGES):
        page.goto(server.url + path)
        page.wait_for_selector(".candidate" if path.startswith("/adjudicate/") else "main h1")
        if path == "/overview":
            page.wait_for_selector("#agreement[data-ready]")
        found[path] = page.evaluate(BEYOND)
    assert {path: beyond for path, beyond in found.items() if beyond} == {}


def test_of_many_categories_one_is_found_and_each_shown_key_works(serve, visit) -> None:
    server = serve()
    server.add(FAIR)
    wordy(server)
    page = visit(server, "/work")
    ready(page)
    keys = page.locator(".palette .category kbd").all_inner_texts()
    assert keys == [*"123456789", "Y"]  # and no tenth number, which no key has
    page.fill(".find", "number 8")
    becomes(page.locator(".palette .category").count, 1)
    page.fill(".find", "")
    page.locator("#response").focus()
    press(page, "y")
    becomes(page.locator(".span .chip").all_inner_texts, [LONG])
