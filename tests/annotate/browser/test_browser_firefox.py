"""The pages in Firefox: they open at every size without a finding of axe, and one marks, proves and submits there."""

import shutil
from collections.abc import Iterator

import pytest
from browser_server import FAIR
from firefox import Firefox, running
from test_browser_access import PAGES
from test_browser_adjudicate import disputed
from test_browser_layout import BEYOND, wordy

from spanwise.annotate.store.annotations import annotations_of

pytestmark = pytest.mark.browser
PROGRAM = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
ZOOMS = {"desk": 1.0, "twice the size": 2.0, "phone": 3.5}
"""How far the page of a window of 1360 pixels is zoomed: 680 and 390 pixels are left of it."""
READY = "document.getElementById('response')?.pane !== undefined"


@pytest.fixture(scope="module")
def firefox() -> Iterator[Firefox]:
    """A running Firefox, or the reason why there is none."""
    if PROGRAM is None:
        pytest.skip("no Firefox on this machine")
    with running(PROGRAM) as browser:
        browser.resize(1360, 900)
        yield browser


def enter(firefox: Firefox, server, name: str = "me", role: str = "admin") -> None:
    """Logs in to a server."""
    firefox.zoom(1.0)
    firefox.goto(f"{server.url}/login")
    firefox.log_in(server.site.cookie.name, server.session(name, role))


def findings(firefox: Firefox) -> list[str]:
    """What axe finds on the page, by rule."""
    source = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    firefox.ask("WebDriver:ExecuteScript", {"script": source.AXE_SCRIPT, "args": []})
    wanted = "result.violations.map((one) => `${one.id} ${one.nodes[0].html}`)"
    return firefox.evaluate(f"axe.run(document, {{resultTypes: ['violations']}}).then((result) => {wanted})")


def test_one_marks_proves_and_submits(serve, firefox) -> None:
    server = serve("qa-feedback")
    (item_id,) = server.add(FAIR.model_copy(update={"responses": FAIR.responses[:1]}))
    object.__setattr__(server.site.project.config, "tasks", ("spans",))
    enter(firefox, server, "ann", "annotator")
    firefox.goto(f"{server.url}/work")
    firefox.until(READY)
    boxes = firefox.evaluate(
        "(() => { const pane = document.getElementById('response').pane;"
        " const box = (from, to) => pane.range(from, to).getClientRects();"
        " const first = box(0, 1)[0], last = [...box(29, 30)].at(-1);"
        " return [first.left + 1, first.top + first.height / 2, last.right - 1, last.top + last.height / 2]; })()"
    )
    firefox.drag(*boxes)
    firefox.press("3")
    firefox.until("document.querySelector('.mode-help') !== null")
    firefox.press("Space", "Enter", "Control+Enter")
    firefox.until("document.querySelector('.span') === null && document.querySelector('#response') === null")
    (said,) = annotations_of(server.database, server.project, item_id)
    (span,) = said.body.spans
    assert span.quote == FAIR.responses[0].text[:31]
    assert span.evidence


@pytest.mark.parametrize("size", ZOOMS)
def test_every_page_fits_and_axe_finds_nothing(serve, firefox, size) -> None:
    server = serve()
    item_id = disputed(server)
    server.add(FAIR.model_copy(update={"id": "another"}))
    wordy(server)
    enter(firefox, server)
    wrong: dict[str, list[str]] = {}
    for path in ("/work", f"/adjudicate/{item_id}", f"/items/{item_id}", *PAGES):
        firefox.goto(server.url + path)
        firefox.zoom(ZOOMS[size])
        firefox.until("document.querySelector('main h1') !== null && !document.querySelector('.loading')")
        wrong[path] = [*firefox.evaluate(f"({BEYOND})()"), *findings(firefox)]
    assert {path: found for path, found in wrong.items() if found} == {}
