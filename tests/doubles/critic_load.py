"""A run of `spanwise feedback critique` against a server with every fault, killed as often as asked, and its figures.

The server notes every reply that it sent whole; at the end each must stand in the book of replies, but for those that
were on their way to a process when it was killed.
"""

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from doubles.critic_server import FAULTS, CriticServer, critic_config, criticising, sim_answers, truth_of
from spanwise.core.files import write_json, write_jsonl
from spanwise.feedback.files import load_or_raise
from spanwise.feedback.schema import FeedbackRecord

START = "=== answer "
COMMAND = "from spanwise.cli import main; main()"


@dataclass(frozen=True)
class Load:
    """How much, how fast, how bad."""

    answers: int
    slots: int = 10
    seconds: float = 0.5
    concurrency: int = 24
    fault_rate: float = 0.025
    """Of each of the faults."""
    timeout_s: float = 5.0
    kills: int = 0
    provider: str = "openai"


def run_load(folder: Path, load: Load) -> dict[str, object]:
    """The figures of one run; `lost` and `invented` must be 0."""
    answers = sim_answers(load.answers, seed=1)
    truths = [truth_of(item, answer) for item, answer in answers]
    rows = [
        {"id": str(n), "prompt": f"{START}{n} === {item.record.prompt}", "response": answer}
        for n, (item, answer) in enumerate(answers)
    ]
    write_jsonl(folder / "answers.jsonl", rows)

    def reply_of(body):
        asked = next(m["content"] for m in body["messages"] if START in str(m["content"]))
        return truths[int(asked.split(START)[1].split(" ===")[0])]

    rates = dict.fromkeys(FAULTS, load.fault_rate)
    settings = {"seconds": load.seconds, "slots": load.slots, "hang_s": load.timeout_s * 1.2}
    with criticising(reply_of, rates=rates, **settings) as server:
        _write_config(folder, server, load)
        begun = time.perf_counter()
        stretches, in_flight = _run_with_kills(folder, server, load)
        wall = time.perf_counter() - begun
        lost = Counter(text for _, text in server.sent) - Counter(_book(folder))
        return {
            "answers": load.answers,
            "kills": load.kills,
            "faults": dict(server.faults),
            "replies sent": len(server.sent),
            "lost": max(0, sum(lost.values()) - in_flight),
            "on their way at a kill": min(in_flight, sum(lost.values())),
            **_judged(folder, answers, truths),
            "seconds": round(wall, 1),
            "seconds while a process asked": round(sum(stretches), 1),
            "seconds of the endpoint alone": round(server.busy_s / load.slots, 1),
            "processor seconds of ours": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, 1),
            "overhead": round(sum(stretches) / (server.busy_s / load.slots) - 1, 4),
        }


def _write_config(folder: Path, server: CriticServer, load: Load) -> None:
    endpoint = {"retries": 4, "timeout_s": load.timeout_s, "concurrency": load.concurrency}
    critic = critic_config(server.address, load.provider, endpoint=endpoint).model_dump(mode="json")
    paths = {"responses": str(folder / "answers.jsonl"), "output": str(folder / "marks.jsonl")}
    write_json(folder / "critic.yaml", critic | paths)  # JSON is YAML


def _run_with_kills(folder: Path, server: CriticServer, load: Load) -> tuple[list[float], int]:
    """Seconds from the first call of each process to its end, and how many calls were under way when one was killed."""
    stretches: list[float] = []
    in_flight = 0
    while True:
        asked = server.asked
        with (folder / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "feedback", "critique", str(folder / "critic.yaml")],
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        while server.asked == asked and process.poll() is None:
            time.sleep(0.01)
        start = time.perf_counter()
        if len(stretches) == load.kills:
            assert process.wait() == 0, (folder / "stderr").read_text()
            return [*stretches, time.perf_counter() - start], in_flight
        goal = load.answers * (len(stretches) + 1) // (load.kills + 1)
        while server.asked < goal and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
        stretches.append(time.perf_counter() - start)
        in_flight += load.concurrency


def _book(folder: Path) -> list[str]:
    lines = (folder / "marks.replies.jsonl").read_text().splitlines()
    return [json.loads(line)["reply"]["text"] for line in lines]


def _judged(folder: Path, answers, truths) -> dict[str, int]:
    """How many answers have a record, how many of these say what the oracle did not, and how many are unscored."""
    records = load_or_raise(folder / "marks.jsonl", FeedbackRecord)
    invented = misplaced = 0
    for record in records:
        (response,) = record.responses
        true = {(mark["quote"], mark["category"]) for mark in truths[int(record.id)]["marks"]}
        said = {(mark.quote, mark.category) for mark in response.spans}
        invented += said != true
        misplaced += any(response.text[mark.start : mark.end] != mark.quote for mark in response.spans)
    unscored = len((folder / "marks.unscored.jsonl").read_text().splitlines())
    assert len(records) + unscored == len(answers)
    return {"records": len(records), "unscored": unscored, "invented": invented, "misplaced": misplaced}
