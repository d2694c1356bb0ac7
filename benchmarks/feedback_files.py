"""Records per second and memory of `spanwise feedback validate`, `convert` and `stats`, beside those of a former build.

    git worktree add --detach /tmp/former COMMIT
    python benchmarks/feedback_files.py --former /tmp/former --records 100000

Every command runs in a process of its own, both builds by turns on one file; seconds are CPU seconds of the process
less those of the same command on one record, memory is its peak less that. The former build reads JSONL only.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spanwise.feedback import FeedbackRecord, mark, write_records
from spanwise.feedback.formats import write_feedback

ROOT = Path(__file__).parents[1]
WORDS = "the a in of born city river died year who wrote first second Ada Oslo Rome \u00e9t\u00e9 before after".split()  # noqa: SIM905
CATEGORIES = ("Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable", "Incoherent")
RUN = "from spanwise.cli import main; main()"


def records(number: int) -> Iterator[FeedbackRecord]:
    """Records of two passages and two answers; the first has marks, every fourth a correction."""
    chance = random.Random(0)

    def words(count: int) -> str:
        return " ".join(chance.choices(WORDS, k=count)) + "."

    for n in range(number):
        text = f"{words(30)} {words(40)} {words(20)}"
        starts = sorted(chance.sample(range(0, len(text) - 60, 60), 2))
        spans = [mark(text, start, start + 40, chance.choice(CATEGORIES)) for start in starts]
        first = {"text": text, "marked": True, "spans": spans, "correction": text[:90] if n % 4 == 0 else None}
        passages = [{"title": words(3), "sentences": [words(15) for _ in range(4)]} for _ in range(2)]
        yield FeedbackRecord.model_validate(
            {
                "id": f"r{n}",
                "prompt": words(10),
                "passages": passages,
                "responses": [first, {"text": words(60)}],
                "preferences": [{"first": 0, "second": 1, "winner": chance.choice(("first", "second", "tie"))}],
            }
        )


def measured(build: Path, command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command; it must end well."""
    environment = os.environ | {"PYTHONPATH": str(build / "src"), "OMP_NUM_THREADS": "1"}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "feedback", *command], env=environment, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command}: {(folder / 'said').read_text()[-500:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def figures(build: Path, command: str, file: Path, number: int) -> dict[str, float]:
    """Records per second and memory above that of one record."""
    folder, single = file.parent, file.with_stem("one")
    behind = [] if command != "convert" else ["--output", str(folder / "out.jsonl"), "--to", "spanwise"]
    start, base = measured(build, [command, str(single), *behind], folder)
    seconds, peak = measured(build, [command, str(file), *behind], folder)
    return {"records_per_second": round(number / (seconds - start)), "megabytes": round(peak - base, 1)}


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--former", type=Path, help="A worktree of an older commit to compare with.")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--commands", nargs="+", default=["validate", "convert", "stats"])
    parser.add_argument("--endings", nargs="+", default=["jsonl", "csv", "parquet"])
    given = parser.parse_args()
    found: dict[str, Any] = {"records": given.records}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in given.endings:
            file = folder / f"all.{ending}"
            for path, number in ((file, given.records), (file.with_stem("one"), 1)):
                write = write_records if ending == "jsonl" else lambda p, r: write_feedback(p, "table", r)
                write(path, records(number))
            found[ending] = {"megabytes_on_disk": round(file.stat().st_size / 1e6, 1)}
            for command in given.commands:
                row: dict[str, Any] = {"now": figures(ROOT, command, file, given.records)}
                if given.former and ending == "jsonl":
                    row["former"] = figures(given.former, command, file, given.records)
                    pair = [row[build]["records_per_second"] for build in ("now", "former")]
                    row["times_as_fast"] = round(pair[0] / pair[1], 2)
                found[ending][command] = row
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
