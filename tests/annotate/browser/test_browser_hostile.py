"""Hostile text in every field: shown as it is on every page, run by none."""

import json

import pytest
from gestures import press, ready, saved
from hostile import HOSTILE

from spanwise.annotate.people.users import create_user
from spanwise.annotate.web.app import visible
from spanwise.annotate.work.queue import claim
from spanwise.annotate.work.submission import Submission, submit
from spanwise.feedback.schema import FeedbackRecord, Passage, Response

pytestmark = pytest.mark.browser

ALL = " ".join(f"{text} word{index}." for index, text in enumerate(HOSTILE))


def hostile_record(number: int) -> FeedbackRecord:
    """An item whose every text is hostile."""
    return FeedbackRecord(
        id=f"{HOSTILE[number]}-{number}",
        prompt=ALL,
        passages=tuple(Passage(title=text, sentences=(text, ALL)) for text in HOSTILE[number : number + 6]),
        responses=(Response(text=ALL, model=HOSTILE[0]), Response(text=HOSTILE[number], model=HOSTILE[1])),
        references=HOSTILE[:3],
    )


def test_there_are_sixty() -> None:
    assert len(set(HOSTILE)) == 60


def test_every_page_shows_hostile_text_as_text(serve, visit, tmp_path) -> None:
    runs = tmp_path / "runs"
    _hostile_run(runs / "a<b>")
    server = serve(runs=runs)
    item_id, _ = server.add(hostile_record(0), hostile_record(7), overlap=2)
    for name in HOSTILE[2:4]:
        _say(server, item_id, create_user(server.database, name, role="annotator"), name)
    page = visit(server, "/overview")
    page.wait_for_selector("#agreement[data-ready]")
    assert HOSTILE[2] in page.inner_text("main")
    for path in ("/items", f"/items/{item_id}", "/people", "/adjudicate", "/data", "/guidelines", "/runs", "/mine"):
        page.goto(server.url + path)
        page.wait_for_selector("main")
    page.goto(f"{server.url}/items/{item_id}")
    shown = page.evaluate("document.querySelector('main').textContent")
    assert all(visible(text) in shown for text in HOSTILE)
    page.goto(f"{server.url}/adjudicate/{item_id}")
    page.wait_for_selector(".lane .para")
    run_id = page.evaluate("fetch('/api/v1/runs').then(answer => answer.json())")["rows"][0]["id"]
    for path, wanted in (("", ".chart"), ("/samples", ".tok")):
        page.goto(f"{server.url}/runs/{run_id}{path}")
        page.wait_for_selector(wanted)
    assert visible(HOSTILE[50]) in page.evaluate("document.getElementById('island').textContent")


def test_hostile_text_can_be_marked_edited_and_typed(serve, visit) -> None:
    server = serve()
    server.add(hostile_record(3))
    page = visit(server, "/work")
    ready(page)
    shown = page.evaluate("document.getElementById('response').textContent")
    assert shown == visible(ALL)
    press(page, "Shift+ArrowRight", "5", "c")
    page.keyboard.insert_text(HOSTILE[1])
    press(page, "Enter", "Alt+2")
    page.fill("#correction", HOSTILE[2])
    press(page, "Alt+3")
    page.wait_for_selector(".answer-card")
    press(page, "d", "Alt+1", "?", "Escape", "g", "Escape")
    saved(page)
    page.reload()
    ready(page)
    assert page.locator(".note").input_value() == HOSTILE[1]


def _say(server, item_id, user, name) -> None:
    lent = claim(server.database, server.project, user, item_id=item_id)
    quote = ALL[: len(HOSTILE[0])]
    body = {
        "spans": [
            {"id": name, "start": 0, "end": len(quote), "quote": quote, "category": "Incoherent", "comment": name}
        ],
        "corrections": [{"text": name}],
        "preferences": [{"a": "r1", "b": "r2", "choice": "a"}],
        "comment": name,
    }
    lease = {"item_id": item_id, "round": lent.round, "lease_token": lent.lease_token}
    sent = Submission(**lease, client_submission_id=f"hostile-{lent.k}", body=body)
    submit(server.database, server.project, user, sent)


def _hostile_run(folder) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(ALL.replace("\u2028", " "), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, HOSTILE[0]: step, "reward/total": None}) + "\n" for step in range(3))
    )
    sample = {"step": 1, "prompt": ALL, "response": ALL, "tokens": list(HOSTILE), "token_scores": [0.5] * 60}
    sample["shares"] = {HOSTILE[2]: [-0.5] * 60}
    (folder / "samples.jsonl").write_text(json.dumps(sample) + "\n")
