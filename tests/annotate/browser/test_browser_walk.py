"""From an empty project to an exported, adjudicated round: a manager and two annotators, each in the pages alone."""

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from browser_server import FAIR
from firefox import running
from gestures import PATIENCE, press

from spanwise.annotate.people.logins import one_time_login
from spanwise.annotate.people.users import local_user

driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser
FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
READY = "document.getElementById('response')?.pane !== undefined"
GIVE_FILE = """(() => {
  const files = new DataTransfer();
  files.items.add(new File([%s], "in.jsonl"));
  document.querySelector("input[type=file]").files = files.files;
  document.querySelector("form[action='/data/import'] button").click();
})()"""


class Walker:
    """What people do, in whichever browser: open addresses, press keys, fill in forms, and wait for what comes."""

    def __init__(self, browser: Any, press: Any, url: str) -> None:
        self.browser, self.press, self.url = browser, press, url

    def open(self, path: str) -> None:
        self.browser.goto(self.url + path)

    def see(self, condition: str, at: str = "") -> Any:
        """What a script expression is once it holds, on the page of the path `at` where one is given."""
        here = f"document.readyState === 'complete' && location.pathname.startsWith({json.dumps(at)})"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = self.browser.evaluate(f"{here} && ({condition})")
            except (AssertionError, driver.Error) as error:  # the page was just leaving
                found, wrong = None, error
            else:
                wrong = None
            if found:
                return found
            assert time.monotonic() < deadline, f"did not come: {condition} ({wrong})"
            time.sleep(0.1)

    def do(self, script: str) -> None:
        self.browser.evaluate(f"(() => {{ {script} }})()")

    def write(self, words: str) -> None:
        self.press(*("Space" if sign == " " else sign for sign in words))

    def log_out(self) -> None:
        self.do("document.querySelector(\"form[action='/logout'] button\").click();")
        self.see("true", "/login")

    def add_person(self, name: str) -> str:
        """The one-time address that the page shows."""
        self.open("/people")
        self.see("document.querySelector(\"form[action='/people'] [name=name]\") !== null", "/people")
        form = "document.querySelector(\"form[action='/people']\")"
        self.do(f"{form}.querySelector('[name=name]').value = '{name}'; {form}.querySelector('button').click();")
        address = self.see(
            f"document.body.innerText.includes('{name}') && document.querySelector('.secret')?.innerText"
        )
        return address[address.index("/login/once") :]


@pytest.fixture(params=["chromium", "firefox"])
def walk(request, serve) -> Iterator[tuple[Any, Any]]:
    """An empty project's server, and a function that gives its walker."""
    server = serve("qa-feedback")
    for name, value in (("tasks", ("spans",)), ("overlap", 2)):
        object.__setattr__(server.site.project.config, name, value)
    if request.param == "chromium":
        page = request.getfixturevalue("visit")(server, "/login", name=None)
        yield server, Walker(page, lambda *keys: press(page, *keys), server.url)
        return
    if FIREFOX is None:
        pytest.skip("no Firefox on this machine")
    with running(FIREFOX) as browser:
        browser.resize(1360, 900)
        yield server, Walker(browser, browser.press, server.url)


def test_from_an_empty_project_to_an_exported_adjudicated_round(walk) -> None:
    server, person = walk
    manager = local_user(server.database)
    person.open(f"/login/once?key={one_time_login(server.database, manager)}")
    person.see("true", "/overview")
    person.open("/data")
    person.see("document.querySelector('input[type=file]') !== null", "/data")
    record = FAIR.model_copy(update={"responses": FAIR.responses[:1]})
    person.browser.evaluate(GIVE_FILE % json.dumps(record.model_dump_json() + "\n"))
    person.see("document.querySelector('.notice.good')?.innerText.includes('1 items')")
    addresses = [person.add_person(name) for name in ("ann", "ben")]
    person.log_out()

    for name, address in zip(("ann", "ben"), addresses, strict=True):
        person.open(address)
        person.see("true", "/work")
        person.see(READY)
        person.press("5*ArrowRight", "3")  # "June." contradicts sentence 1.2
        person.see("document.querySelector('.mode-help') !== null")
        person.write("1.2")
        person.press("Enter", "Enter")
        if name == "ben":
            person.press("m", "1")  # and the dried fish of sentence 2.2 is left out
            person.see("document.querySelector('.mode-help') !== null")
            person.write("2.2")
            person.press("Space", "Enter")
        person.press("Control+Enter")
        person.see("document.getElementById('response') === null && document.querySelector('.span') === null", "/work")
        person.log_out()

    person.open(f"/login/once?key={one_time_login(server.database, manager)}")
    person.see("true", "/overview")
    person.open("/adjudicate")
    person.do(person.see("document.querySelector('tbody a') && \"document.querySelector('tbody a').click()\""))
    person.see("document.querySelectorAll('.candidate').length === 2 && document.querySelector('.candidate.accepted')")
    person.press("a", "Control+Enter")
    person.see("document.body.innerText.includes('No item has two annotations yet')", "/adjudicate")
    person.open("/data")
    exported = "fetch(document.querySelector(\"form[action='/data/export']\").action + '?format=spanwise')"
    rows = [
        json.loads(line) for line in person.see(f"{exported}.then((answer) => answer.text())", "/data").splitlines()
    ]
    said = {row["annotator"]: row["responses"][0] for row in rows}
    assert len(rows) == 3
    assert set(said) == {"ann", "ben", manager.name}
    verdict = said[manager.name]
    assert [span["category"] for span in verdict["spans"]] == ["Wrong-Grounding"]
    assert [gap["evidence"] for gap in verdict["missing"]] == [{"passage": 1, "sentences": [1], "title": False}]
    assert not said["ann"]["missing"]
