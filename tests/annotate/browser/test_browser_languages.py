"""The page to work on in other languages, and laid out from the right."""

import json

import pytest
from browser_server import FAIR
from gestures import press, ready, until

from spanwise.annotate.web import messages

pytestmark = pytest.mark.browser


def _speaks(page, server, language: str) -> None:
    page.context.add_cookies([{"name": messages.COOKIE, "value": language, "url": server.url}])


@pytest.mark.parametrize(
    ("language", "submit", "no_errors"), [("de", "Abgeben", "Keine Fehler"), ("zh", "提交", "没有错误")]
)
def test_one_works_on_an_item_in_ones_own_language(serve, visit, language, submit, no_errors) -> None:
    server = serve()
    server.add(FAIR)
    page = visit(server, "/login")
    _speaks(page, server, language)
    page.goto(server.url + "/work")
    ready(page)
    assert page.locator("footer.bar button.primary").inner_text().startswith(submit)
    press(page, "0")
    assert no_errors in page.locator("main").inner_text()
    press(page, "?")
    page.wait_for_selector("dialog[open]")
    words = page.locator("dialog[open]").inner_text()
    assert "Undo" not in words
    assert "Guidelines" not in words


def test_the_language_is_chosen_under_settings(serve, visit) -> None:
    server = serve()
    page = visit(server, "/settings")
    page.select_option("select[name=language]", "de")
    page.click("form[action='/settings/language'] button")
    page.wait_for_selector("html[lang=de]")
    assert page.locator("h1").inner_text() == "Einstellungen"
    page.select_option("select[name=language]", "")
    page.click("form[action='/settings/language'] button")
    page.wait_for_selector("html[lang=en]")


@pytest.mark.parametrize("path", ["/work", "/overview", "/items", "/settings", "/quality", "/questions", "/data"])
def test_pages_are_laid_out_from_the_right(serve, visit, path, monkeypatch, tmp_path) -> None:
    """In a language that is written so, which stands in for Arabic or Hebrew: its words are those of German."""
    (tmp_path / "he.json").write_text(json.dumps(messages.catalogue("de")))
    monkeypatch.setattr(messages, "CATALOGUES", tmp_path)
    monkeypatch.setitem(messages.LANGUAGES, "he", "עברית")
    messages.catalogue.cache_clear()
    server = serve()
    server.add(FAIR)
    page = visit(server, "/login", allow=("404",))
    _speaks(page, server, "he")
    page.set_viewport_size({"width": 900, "height": 800})
    page.goto(server.url + path)
    page.wait_for_selector("main h1, .work", state="attached")
    until(page, "!document.querySelector('.loading')")
    messages.catalogue.cache_clear()
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    brand, nav = (page.locator(part).bounding_box() for part in ("a.brand", "details.menu"))
    assert brand["x"] > nav["x"]
