"""Accessibility: axe finds nothing on any page, in light and in dark."""

import json

import pytest
from browser_server import FAIR
from gestures import press, ready

pytestmark = pytest.mark.browser
PAGES = (
    "/overview",
    "/items",
    "/quality",
    "/questions",
    "/mine",
    "/adjudicate",
    "/data",
    "/people",
    "/tokens",
    "/settings",
    "/guidelines",
    "/runs",
)


def check(page, where: str, found: list[str]) -> None:
    """Adds what axe finds on the page as it stands."""
    source = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(source.AXE_SCRIPT)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    for violation in result["violations"]:
        nodes = [node["html"][:160] for node in violation["nodes"][:3]]
        found.append(f"{where}: {violation['id']} ({violation['impact']}) {json.dumps(nodes)}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(serve, visit, scheme) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/work")
    page.emulate_media(color_scheme=scheme)
    found: list[str] = []
    ready(page)
    press(page, "5*ArrowRight", "3")
    page.wait_for_selector(".mode-help")
    check(page, "evidence", found)
    press(page, "Space", "Enter", "c")
    check(page, "mark", found)
    press(page, "Enter", "?")
    page.wait_for_selector("dialog[open]")
    check(page, "keys", found)
    press(page, "Escape", "Alt+2")
    page.fill("#correction", "Kelwick holds its fair in May.")
    check(page, "edit", found)
    press(page, "Alt+3")
    page.wait_for_selector(".answer-card")
    press(page, "1", "d")
    check(page, "compare", found)
    for path in PAGES:
        page.goto(server.url + path)
        page.wait_for_selector("main h1")
        check(page, path, found)
    assert not found, "\n".join(found)
