"""How much processor time it takes to open the adjudication of two long lanes, on the server and in Chromium.

    python benchmarks/adjudication_page.py [--spans 100 400 1600]

Half of each lane's spans are those of the other, cut alike. Needs Chromium and the extras `annotate` and `dev`.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "annotate" / "browser"))

from browser_server import Server

from spanwise.annotate.people import create_user
from spanwise.annotate.work import Submission, claim, submit
from spanwise.feedback import FeedbackRecord, Response

ROUNDS = 5


def disputed(server: Server, spans: int) -> str:
    """An item with two lanes of so many spans each."""
    text = " ".join(f"word{n:05d}" for n in range(2 * spans + 1))
    (item_id,) = server.add(FeedbackRecord(id=f"long-{spans}", prompt="?", responses=(Response(text=text),)), overlap=2)
    choose = random.Random(0)
    for name in ("ann", "ben"):
        user = create_user(server.database, f"{name}-{spans}")
        lent = claim(server.database, server.project, user, item_id=item_id)
        marks = []
        for n in range(spans):
            start = 20 * n
            end = start + (9 if name == "ann" or n % 2 else 19)
            kind = choose.choice(("insult", "threat"))
            mark = {"id": f"s{n}", "start": start, "end": end, "quote": text[start:end], "category": kind}
            marks.append(mark | {"severity": "mild"} | ({"category": "insult"} if n % 2 else {}))
        sent = Submission(
            item_id=item_id,
            round=lent.round,
            lease_token=lent.lease_token,
            client_submission_id=uuid.uuid4().hex,
            body={"spans": marks},
        )
        submit(server.database, server.project, user, sent)
    return item_id


def opened(context: BrowserContext, url: str) -> tuple[float, float]:
    """CPU seconds of this process, in which the server runs, and of the page's main thread."""
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = time.process_time()
    page.goto(url)
    page.wait_for_selector(".candidate")
    page.wait_for_timeout(300)
    used = time.process_time() - before
    metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    page.close()
    return used, metrics["TaskDuration"]


def main(counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder), "toxicity", None)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 760})
        context.set_default_timeout(300_000)
        context.add_cookies([{"name": "spanwise", "value": server.session(), "url": server.url}])
        for spans in counts:
            item_id = disputed(server, spans)
            both = [opened(context, f"{server.url}/adjudicate/{item_id}") for _ in range(ROUNDS)]
            served, drawn = (1000 * statistics.median(one) for one in zip(*both, strict=True))
            print(f"two lanes of {spans:>5} spans: server {served:6.0f} ms of CPU, page {drawn:6.0f} ms of CPU")
        browser.close()
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, nargs="+", default=[100, 400, 1600])
    main(parser.parse_args().spans)
