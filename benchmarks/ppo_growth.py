"""How seconds and memory of a PPO step grow with responses, length and vocabulary, each doubled by itself.

    python benchmarks/ppo_growth.py [--dtype bf16|fp32] [--base-responses 16] [--doublings 2] [--json] [--record NAME]

The models are those of `ppo_step.py`; every answer runs to full length. Each size is a process of its own. The base is
16 responses of 32 + 32 tokens over 8,000 words, one epoch; memory is the peak of the process, less what it held before
the models were made.
"""

import argparse
import json
import statistics
import sys
from dataclasses import replace
from typing import Any

from ppo_shape import Shape
from ppo_step import Ours, our_side
from recorded import record
from rich.console import Console
from rich.table import Table


def sizes(base: Shape, doublings: int) -> dict[str, list[Shape]]:
    """The base and its doublings, by what is doubled."""
    powers = [2**k for k in range(doublings + 1)]
    return {
        "responses": [replace(base, responses=base.responses * k) for k in powers],
        "length": [replace(base, prompt_tokens=base.prompt_tokens * k, new_tokens=base.new_tokens * k) for k in powers],
        "vocabulary": [replace(base, vocabulary=base.vocabulary * k) for k in powers],
    }


def measure(base: Shape, doublings: int) -> list[dict[str, Any]]:
    """A row per size; the base, which all three begin with, is measured once."""
    known: dict[Shape, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for what, shapes in sizes(base, doublings).items():
        for shape in shapes:
            if shape not in known:
                known[shape] = our_side(shape, Ours())
            found = known[shape]
            size = {"responses": shape.responses, "length": 2 * shape.new_tokens, "vocabulary": shape.vocabulary}
            rows.append(
                {
                    "grows": what,
                    "size": size[what],
                    "seconds": statistics.median(found["seconds"][1:]),
                    "cpu_s": statistics.median(found["cpu_seconds"][1:]),
                    "gb": found["peak_gb"] - found["start_gb"],
                }
            )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="A PPO step as one size is doubled")
    for name in ("grows", "size", "seconds", "cpu_s", "gb"):
        table.add_column(name)
    for row in rows:
        table.add_row(row["grows"], f"{row['size']:,}", *(f"{row[name]:.2f}" for name in ("seconds", "cpu_s", "gb")))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--doublings", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    for name, default in (("responses", 16), ("tokens", 32), ("vocabulary", 8000), ("hidden", 288), ("layers", 6)):
        parser.add_argument(f"--base-{name}", type=int, default=default)
    o = parser.parse_args()
    base = Shape(
        dtype=o.dtype, prompt_tokens=o.base_tokens, new_tokens=o.base_tokens, responses=o.base_responses, epochs=1,
        steps=2, vocabulary=o.base_vocabulary, hidden=o.base_hidden, layers=o.base_layers,
    )  # fmt: skip
    found = {"base": json.loads(base.to_json()), "rows": measure(base, o.doublings)}
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/ppo_growth.py", *sys.argv[1:]]), found)
    print(json.dumps(found, indent=2)) if o.json else show(found["rows"])


if __name__ == "__main__":
    main()
