"""Pictures of every page of the annotation app for the docs, and how fast a very long answer is drawn and marked.

    python benchmarks/annotate_pages.py pictures --out docs/images
    python benchmarks/annotate_pages.py speed

Needs Chromium and the packages of the extras `annotate` and `dev`. The text of the pictures is made up.
"""

import argparse
import json
import math
import random
import shutil
import statistics
import sys
import tempfile
import uuid
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "annotate" / "browser"))

from browser_server import Server
from gestures import press, ready, saved

from spanwise.annotate.people import User, create_user
from spanwise.annotate.rounds import LOG, Diary, only_one
from spanwise.annotate.work import Submission, claim, submit
from spanwise.feedback import FeedbackRecord, Passage, Response

PASSAGES = (
    Passage(
        title="Kelwick",
        sentences=(
            "Kelwick is a market town on the river Aeleen.",
            "Its fair is held in the second week of May.",
            "The town has had a wall since 1841.",
            "Sails and rope are its best known goods.",
        ),
    ),
    Passage(
        title="Trade of the Aeleen valley",
        sentences=(
            "Towns of the valley trade in timber, wool and sails.",
            "Kelwick exports sails, rope and dried fish.",
            "Most of it goes by river.",
        ),
    ),
)
ANSWERS = (
    "Kelwick holds its fair in the third week of June, when the town is at its busiest. The town has had a wall since "
    "1841. It exports sails and rope. Sails and rope are what it exports, as many travellers have noted.",
    "The fair is in May. Kelwick exports sails and dried fish.",
    "The fair of Kelwick takes place in the second week of May. It exports sails, rope and dried fish.",
)
WIDTH, HEIGHT = 1280, 760


def record(number: int) -> FeedbackRecord:
    return FeedbackRecord(
        id=f"kelwick-{number}",
        prompt="When is the fair of Kelwick, and which goods does the town export?",
        passages=PASSAGES,
        responses=tuple(Response(text=text) for text in ANSWERS),
    )


def found(start: str, category: str, **more: object) -> dict[str, object]:
    at = ANSWERS[0].index(start)
    return {"id": uuid.uuid4().hex, "start": at, "end": at + len(start), "quote": start, "category": category} | more


def say(server: Server, user: User, item_id: str, spans: list[dict[str, object]], choices: str) -> None:
    lent = claim(server.database, server.project, user, item_id=item_id)
    pairs = (("r1", "r2"), ("r1", "r3"), ("r2", "r3"))
    body = {
        "spans": spans,
        "corrections": [{"text": ANSWERS[0].replace("third week of June", "second week of May")}],
        "preferences": [
            {"a": a, "b": b, "choice": choice} for (a, b), choice in zip(pairs, choices.split(), strict=True)
        ],
    }
    lease = {"item_id": item_id, "round": lent.round, "lease_token": lent.lease_token}
    sent = Submission(
        **lease, client_submission_id=uuid.uuid4().hex, body=body, active_ms=random.Random(0).randrange(9**6)
    )
    submit(server.database, server.project, user, sent)


def run_folder(folder: Path) -> None:
    """A run of 400 steps with made-up curves and one sample."""
    folder.mkdir(parents=True)
    noise = random.Random(1)
    lines = [
        {
            "step": step,
            "reward/total": 1.4 - 1.5 * math.exp(-step / 120) + noise.gauss(0, 0.12),
            "reward/relevance": 0.5 - 0.6 * math.exp(-step / 90) + noise.gauss(0, 0.08),
            "reward/factuality": 0.6 - 0.7 * math.exp(-step / 160) + noise.gauss(0, 0.08),
            "kl/response": 6 * (1 - math.exp(-step / 200)) + abs(noise.gauss(0, 0.2)),
            "response/length": 40 - 8 * math.exp(-step / 60) + noise.gauss(0, 2),
        }
        for step in range(400)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    tokens = [part if index == 0 else f" {part}" for index, part in enumerate(ANSWERS[0].split(" "))]
    ends = {9: (0.0, -0.62), 16: (0.31, 0.0), 24: (-0.4, 0.35), 28: (0.22, 0.48), 39: (-0.71, 0.1)}
    shares = {
        name: [ends.get(i, (0.0, 0.0))[k] for i in range(len(tokens))]
        for k, name in enumerate(("relevance", "factuality"))
    }
    total = [a + b for a, b in zip(*shares.values(), strict=True)]
    sample = {"step": 380, "prompt": record(0).prompt, "response": ANSWERS[0], "tokens": tokens, "token_scores": total}
    sample |= {
        "shares": shares,
        "kl": [abs(noise.gauss(0, 0.05)) for _ in tokens],
        "total": sum(total),
        "dropped": False,
    }
    (folder / "samples.jsonl").write_text(
        "".join(json.dumps(sample | {"step": step}) + "\n" for step in range(300, 400, 20))
    )


def pictures(out: Path) -> None:
    """Writes a picture of each page to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        run_folder(Path(folder) / "runs" / "fine-grained" / "seed-0")
        (Path(folder) / "project").mkdir()
        server = Server(Path(folder) / "project", "qa-feedback", Path(folder) / "runs")
        items = server.add(*(record(number) for number in range(6)), overlap=2)
        fill(server, items)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            context.set_default_timeout(60_000)
            context.add_cookies([{"name": server.site.cookie.name, "value": server.session(), "url": server.url}])
            page = context.new_page()
            if scheme == "light":
                tour(page, server, out, items)
            else:
                page.goto(server.url + "/work")
                ready(page)
                page.wait_for_selector(".span")
                page.screenshot(path=out / "annotate-mark-dark.png")
            context.close()
        browser.close()
        server.stop()
    for path in out.glob("annotate-*.png"):  # flat pages need few colours
        Image.open(path).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            path, optimize=True
        )


def fill(server: Server, items: list[str]) -> None:
    """What two people said about four of the items."""
    ann, ben = (create_user(server.database, name) for name in ("ann", "ben"))
    june = found("third week of June,", "Wrong-Grounding", evidence=[{"passage": 0, "sentences": [1]}])
    wall = found("The town has had a wall since 1841.", "Irrelevant")
    wider = found("in the third week of June,", "Wrong-Grounding", evidence=[{"passage": 0, "sentences": [1]}])
    noted = found("as many travellers have noted.", "Unverifiable")
    for index, item_id in enumerate(items[:4]):
        say(server, ann, item_id, [june, wall] if index else [june, wall, noted], "b b b")
        say(
            server,
            ben,
            item_id,
            [wider, noted] if index % 2 == 0 else [june, wall],
            "b b tie" if index == 2 else "b b b",
        )
    claim(server.database, server.project, ann)


def tour(page: Page, server: Server, out: Path, items: list[str]) -> None:
    """Goes through the pages like an annotator, then like a manager."""
    page.goto(server.url + "/work")
    ready(page)
    press(page, "6*ArrowRight", "3*Shift+ArrowRight", "3")
    page.wait_for_selector(".mode-help")
    page.screenshot(path=out / "annotate-evidence.png")
    press(page, "Space", "Enter")
    at = ANSWERS[0].split(" ").index("wall") - 5
    page.locator("#response").focus()
    press(page, "Escape", "Home", f"{at}*ArrowRight", "7*Shift+ArrowRight", "1")
    press(
        page,
        "Escape",
        "End",
        "11*ArrowLeft",
        "6*Shift+ArrowRight",
        "2",
        "Home",
        "25*ArrowRight",
        "4*Shift+ArrowRight",
        "Enter",
    )
    press(page, "m", "1")
    page.keyboard.type("2.2")
    press(page, "Space", "Enter", "Escape", "Tab")
    saved(page)
    page.screenshot(path=out / "annotate-mark.png")
    press(page, "Alt+2")
    text = (
        ANSWERS[0]
        .replace("third week of June", "second week of May")
        .replace("The town has had a wall since 1841. ", "")
    )
    page.fill("#correction", text)
    press(page, "F8")
    saved(page)
    page.screenshot(path=out / "annotate-edit.png")
    press(page, "Alt+3")
    page.wait_for_selector(".answer-card")
    press(page, "1", "2", "1")
    page.locator(".pair-list button").nth(0).click()
    press(page, "d")
    saved(page)
    page.screenshot(path=out / "annotate-compare.png")
    press(page, "?")
    page.wait_for_selector("dialog[open]")
    page.screenshot(path=out / "annotate-keys.png")
    managers_tour(page, server, out, items)


def managers_tour(page: Page, server: Server, out: Path, items: list[str]) -> None:
    """Overview, adjudication and runs."""
    (server.folder / "round.yaml").write_text("")
    page.goto(server.url + "/overview")
    page.wait_for_selector("#agreement[data-ready]")
    page.wait_for_selector("#round button")
    page.screenshot(path=out / "annotate-overview.png")
    closing_a_round(page, server, out)
    page.goto(f"{server.url}/adjudicate/{items[0]}")
    page.wait_for_selector(".candidate")
    page.screenshot(path=out / "annotate-adjudicate.png")
    page.goto(server.url + "/runs")
    page.click("tbody a")
    page.wait_for_selector(".chart canvas")
    press(page, "]", "]")
    page.wait_for_timeout(500)
    page.screenshot(path=out / "annotate-curves.png")
    page.goto(page.url + "/samples")
    page.wait_for_selector(".tok")
    press(page, "v", "10*ArrowRight")
    page.screenshot(path=out / "annotate-heatmap.png")


def closing_a_round(page: Page, server: Server, out: Path) -> None:
    """The overview while a command trains; this process plays the command."""
    with only_one(server.folder):
        Diary(server.folder, 1).begin("train")
        folder = server.folder / "rounds" / "round-1"
        folder.mkdir()
        (folder / LOG).write_text("relevance: 412 segments of 118 answers\nfactuality: 306 segments of 118 answers\n")
        page.reload()
        page.wait_for_selector("#agreement[data-ready]")
        page.click("#round summary")
        page.locator("h2:has-text('Next round')").evaluate("heading => heading.scrollIntoView()")
        page.screenshot(path=out / "annotate-round.png")


def speed() -> None:
    """Prints how long the first paint of 100,000 characters with 300 spans takes, and one more label."""
    words = random.Random(0)
    sentences = [" ".join(words.choice(ANSWERS[0].split(" ")) for _ in range(12)) + "." for _ in range(1400)]
    text = "\n".join(" ".join(sentences[start : start + 14]) for start in range(0, len(sentences), 14))
    text = (text * 2)[:100_000]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder), "toxicity", None)
        (item_id,) = server.add(FeedbackRecord(id="long", prompt="?", responses=(Response(text=text),)))
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.set_default_timeout(120_000)
        context.add_cookies([{"name": server.site.cookie.name, "value": server.session(), "url": server.url}])
        page = context.new_page()
        page.goto(server.url + "/work")
        ready(page)
        prepare_spans(page, item_id, text)
        paints = [first_paint(page, server) for _ in range(5)]
        labels = [label_time(page, offset) for offset in range(9)]
        print(f"first paint  median {statistics.median(paints):.0f} ms, all {[round(one) for one in paints]}")
        print(f"label        median {statistics.median(labels):.0f} ms, all {[round(one) for one in labels]}")
        browser.close()
        server.stop()


def prepare_spans(page: Page, item_id: str, text: str) -> None:
    """Saves a draft with 300 spans, as the page itself would."""
    step = len(text) // 301
    spans = []
    for number in range(300):
        start = text.index(" ", number * step) + 1
        end = text.index(" ", start + 20)
        spans.append({"id": f"s{number}", "target": "r1", "start": start, "end": end, "quote": text[start:end]})
    body = {
        "spans": [span | {"category": "insult", "severity": "mild", "comment": "", "evidence": []} for span in spans]
    }
    lent = page.evaluate(
        "fetch('/api/v1/claims', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})"
        ".then(answer => answer.json()).then(work => work.claim)"
    )
    draft = {"round": lent["round"], "lease_token": lent["lease_token"], "base_rev": 0, "document": {"body": body}}
    status = page.evaluate(
        "([path, draft]) => fetch(path, {method: 'PUT', headers: {'content-type': 'application/json'},"
        " body: JSON.stringify(draft)}).then(answer => answer.status)",
        [f"/api/v1/items/{item_id}/draft", draft],
    )
    assert status == 200, status


def first_paint(page: Page, server: Server) -> float:
    """Milliseconds from the item's arrival to the first frame that shows it."""
    page.goto(server.url + "/work")
    page.wait_for_selector(".span")
    return page.evaluate(
        """() => {
          const claim = performance.getEntriesByName(location.origin + "/api/v1/claims")[0];
          const drawn = performance.getEntriesByName("spanwise:drawn")[0];
          return drawn.startTime - claim.responseEnd;
        }"""
    )


def label_time(page: Page, offset: int) -> float:
    """Milliseconds from the key press to the frame that shows the new span."""
    page.locator("#response").focus()
    press(page, "Escape", "Home", f"{3 * offset + 1}*ArrowRight")
    return page.evaluate(
        """() => new Promise(resolve => {
          const start = performance.now();
          const options = {key: "2", code: "Digit2", bubbles: true, cancelable: true};
          document.getElementById("response").dispatchEvent(new KeyboardEvent("keydown", options));
          requestAnimationFrame(() => { const channel = new MessageChannel();
            channel.port1.onmessage = () => resolve(performance.now() - start); channel.port2.postMessage(0); });
        })"""
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pictures", "speed"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    pictures(options.out) if options.what == "pictures" else speed()
