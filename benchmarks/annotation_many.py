"""What many items cost the annotation app, beside an older build of it, in one run.

    python benchmarks/annotation_many.py [--former CHECKOUT] [--items 200000] [--people 50] [--imported 3000]

`--former` is another checkout of this repository, for example `git worktree add ../former COMMIT`. Each build makes a
SQLite database of its own with the same items and is asked the same: CPU milliseconds of claims, saves, submits, lists
and searches, items that an import takes in per CPU second, and the times that `--people` annotators meet through HTTP.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
SENTENCES = "Kelwick holds its fair in June. The wall was built in 1841, and it stands. It exports sails, {n} of them."

MEASURE = r"""
import json, statistics, sys, time, uuid
from pathlib import Path
from spanwise.annotate.exchange.imports import import_file
from spanwise.annotate.people.logins import new_session
from spanwise.annotate.people.users import create_user
from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.annotate.work.desk import Lease
from spanwise.annotate.work.drafts import Save, save_draft
from spanwise.annotate.work.overview import progress
from spanwise.annotate.work.queue import claim
from spanwise.annotate.work.submission import Submission, submit

folder, items, people, imported, sentences = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5]

def cpu(act, times):
    spent = []
    for _ in range(times):
        began = time.process_time()
        act()
        spent.append((time.process_time() - began) * 1000)
    return statistics.median(spent)

base, project = open_project(folder, preset_name="toxicity")
try:
    from spanwise.annotate.manage import ItemFilter, list_items
    def listed(offset=0, **asked):
        return list_items(base, project, ItemFilter(**asked), offset=offset)
except ImportError:  # an older build
    from spanwise.annotate.store.items import list_items
    def listed(**asked):
        return list_items(base, project, **asked)
path = folder / "in.jsonl"
rows = [{"id": f"f{n}", "prompt": f"Question {n}?", "responses": [{"text": sentences.format(n=n)}],
         "passages": [{"title": "Kelwick", "sentences": ["A town.", "A fair in May."]}]} for n in range(imported)]
path.write_text("".join(json.dumps(row) + "\n" for row in rows))
began = time.process_time()
import_file(base, project, path, "spanwise")
told = {"import, items per CPU second": imported / (time.process_time() - began)}
many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
with base.write() as connection:  # the others are like the first, but for their ids and prompts
    connection.exec_driver_sql(many + "INSERT INTO item SELECT 'n' || i, project_id, 'n' || i, 1000000 + i,"
        " 'How is item ' || i || ' made, and where?', refs, meta, round, priority, overlap, purpose, NULL, NULL, NULL"
        " FROM n, (SELECT * FROM item LIMIT 1)", (items - imported,))
    connection.exec_driver_sql(many + "INSERT INTO response SELECT 'r' || i, 'n' || i, 0, text_sha256, model"
        " FROM n, (SELECT * FROM response LIMIT 1)", (items - imported,))
    connection.exec_driver_sql(many + "INSERT INTO slot (item_id, round, k, project_id, kind, state, priority,"
        " position, suggested) SELECT 'n' || i, round, k, project_id, kind, state, priority, 1000000 + i, suggested"
        " FROM n, (SELECT * FROM slot ORDER BY item_id, k LIMIT 3)", (items - imported,))
ann = create_user(base, "ann")
held, rev = [], [0]
def claims():
    held.append(claim(base, project, ann))
def saves():
    lease = {name: getattr(held[-1], name) for name in ("item_id", "round", "lease_token")}
    rev[0] = save_draft(base, project, ann, Save(**lease, base_rev=rev[0], document={"log": [rev[0]] * 200})).rev
def submits():
    lease = {name: getattr(held[-1], name) for name in ("item_id", "round", "lease_token")}
    more = {"client_submission_id": str(uuid.uuid4()), "body": {"no_errors": ["r1"]}, "active_ms": 1}
    submit(base, project, ann, Submission(**lease, **more))
spent = {"claim": [], "save": [], "submit": []}
for _ in range(30):
    rev[0] = 0
    spent["claim"].append(cpu(claims, 1))
    spent["save"].append(cpu(saves, 5))
    spent["submit"].append(cpu(submits, 1))
told |= {f"{name}, CPU ms": statistics.median(times) for name, times in spent.items()}
told["first page, CPU ms"] = cpu(listed, 5)
told["last page, CPU ms"] = cpu(lambda: listed(offset=items - 50), 5)
for state in ("open", "done"):
    told[f"page by state {state}, CPU ms"] = cpu(lambda: listed(state=state, offset=20), 3)
told["search, CPU ms"] = cpu(lambda: listed(query=f"item {items - imported - 1} "), 3)
told["progress, CPU ms"] = cpu(lambda: progress(base, project), 3)
tokens = [new_session(base, create_user(base, f"p{n}")).token for n in range(people)]
name = create_app(base, project).state.site.cookie.name
base.close()
print(json.dumps({"told": told, "cookies": [f"{name}={token}" for token in tokens]}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--former", type=Path)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--imported", type=int, default=3000)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30, help="How long the annotators work; 0 leaves them out.")
    options = parser.parse_args()
    builds = {"this": ROOT} | ({"former": options.former} if options.former else {})
    told = {name: measured(checkout.resolve(), options) for name, checkout in builds.items()}
    for what in told["this"]:
        print(f"{what:40}" + "".join(f"{name} {figures[what]:10.1f}   " for name, figures in told.items()))


def measured(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """All figures of one build."""
    environment = os.environ | {"PYTHONPATH": f"{checkout}/src"}
    with tempfile.TemporaryDirectory() as name:
        sizes = (options.items, options.people, options.imported)
        command = [sys.executable, "-c", MEASURE, name, *map(str, sizes), SENTENCES]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        answer = json.loads(done.stdout)
        times = crowd(Path(name), environment, answer["cookies"], options.seconds) if options.seconds else {}
        return answer["told"] | times


def crowd(folder: Path, environment: dict[str, str], cookies: list[str], seconds: float) -> dict[str, float]:
    """Milliseconds that annotators wait who claim, save three times and submit, half a second between acts."""
    program = "from spanwise.cli import main; main()"
    command = [sys.executable, "-c", program, "annotate", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert found is not None
        port, end = int(found[1]), time.monotonic() + seconds
        waits: dict[str, list[float]] = {"claim": [], "save": [], "submit": []}
        lock = threading.Lock()

        def person(cookie: str) -> None:
            for act, wait in acts(port, cookie, end):
                with lock:
                    waits[act].append(wait)

        try:
            with ThreadPoolExecutor(len(cookies)) as pool:
                list(pool.map(person, cookies))
        finally:
            server.terminate()
    figures = {f"{act}s of {len(cookies)} people, p95 ms": share(times, 0.95) for act, times in waits.items()}
    return figures | {"requests answered": float(sum(map(len, waits.values())))}


def acts(port: int, cookie: str, end: float) -> list[tuple[str, float]]:
    """What one person does until the end, and how long each act took."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"content-type": "application/json", "cookie": cookie}
    done: list[tuple[str, float]] = []

    def ask(act: str, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
        time.sleep(0.5)
        began = time.perf_counter()
        while True:
            link.request(method, path, json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
            if answer.status != 503:  # else the page asks again, and one waits on
                break
            time.sleep(0.3)
        done.append((act, (time.perf_counter() - began) * 1000))
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status} {text[:200]!r}")
        return json.loads(text)

    while time.monotonic() < end:
        claim = ask("claim", "POST", "/api/v1/claims", {})["claim"]
        if not isinstance(claim, dict):
            break
        lease, path = {name: claim[name] for name in ("round", "lease_token")}, f"/api/v1/items/{claim['item_id']}"
        for rev in range(3):
            ask("save", "PUT", f"{path}/draft", {**lease, "base_rev": rev, "document": {"log": [rev] * 200}})
        said = {"client_submission_id": str(uuid.uuid4()), "body": {"no_errors": ["r1"]}, "active_ms": 1}
        ask("submit", "POST", f"{path}/submissions", {**lease, **said})
    return done


def share(times: list[float], part: float) -> float:
    """The time that this part of all times stays below."""
    return statistics.quantiles(times, n=100)[round(part * 100) - 1] if len(times) > 1 else float("nan")


if __name__ == "__main__":
    main()
