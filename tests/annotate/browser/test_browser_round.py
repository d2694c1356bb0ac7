"""The button that closes a round: what runs is shown as it goes, and so is what went wrong."""

import sys

import pytest
from browser_server import FAIR

from spanwise.annotate.rounds import job as round_job

pytestmark = pytest.mark.browser

WORKS = """
import json, os, sys, time
from pathlib import Path
project = Path(sys.argv[-2])
rounds = project / "rounds"

def tell(state, said=""):
    told = {"state": state, "round": 1, "stage": "train", "said": said, "at": None}
    (rounds / "fresh").write_text(json.dumps(told))
    os.replace(rounds / "fresh", rounds / "state.json")

tell("running")
(rounds / "round-1").mkdir(exist_ok=True)
(rounds / "round-1" / "log.txt").write_text("<b>epoch 1</b>\\n")
end = time.monotonic() + 120  # nobody is left to end it where the test fails
while not (project / "go").exists() and time.monotonic() < end:
    time.sleep(0.05)
if (project / "bad").exists():
    tell("failed", "spanwise reward train failed: no marks to learn from")
else:
    tell("done", "Round 2: 4 of 10 answers queued, 1 by lot.")
"""


def test_closing_a_round_from_the_overview(serve, visit, monkeypatch) -> None:
    monkeypatch.setattr(round_job, "COMMAND", (sys.executable, "-c", WORKS))
    server = serve()
    server.add(FAIR)
    page = visit(server, "/overview")
    page.wait_for_selector("text=round.yaml")  # it says what is needed first
    (server.folder / "round.yaml").write_text("")
    (server.folder / "bad").touch()
    page.reload()
    page.get_by_role("button", name="Close round 1").click()
    page.wait_for_selector("#round[data-state=running] li[aria-current=step]:has-text('train')")
    page.goto(server.url + "/work")  # the server answers meanwhile
    page.wait_for_selector("#response .para")
    page.goto(server.url + "/overview")
    page.wait_for_selector("#round[data-state=running]")
    (server.folder / "go").touch()
    page.wait_for_selector("#round [role=alert]:has-text('no marks to learn from')")
    assert page.locator("#round .log").inner_text() == "<b>epoch 1</b>"
    (server.folder / "bad").unlink()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#round[data-state=done] .notice:has-text('4 of 10 answers queued')")
