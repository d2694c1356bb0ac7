"""Tokens per second and share of the machine's measured matrix-multiply peak in each phase of a PPO step.

    python benchmarks/ppo_phases.py [--dtype bf16|fp32] [--responses 16] [--compile] [--json] [--record NAME]

Useful FLOPs: two per weight and token of a forward pass (four more in a backward pass), attention over what precedes a
token, the vocabulary head on response tokens only; what is computed again in the backward pass does not count. The
peak is that of the best square product of 512 to 2,048 with the same threads, in the same type and the same process.
The shape is that of `ppo_step.py` at full length; fewer responses do not change shares of the update.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ppo_shape import Shape
from ppo_step import Ours, make_trainer
from recorded import record
from rich.console import Console
from rich.table import Table

from spanwise.models.cpu import product


def peak_flops(dtype: torch.dtype) -> float:
    """FLOP per second of the best square product, by the quicker of PyTorch's matrix libraries."""
    best = 0.0
    for size in (512, 1024, 2048):
        a, b = (torch.randn(size, size).to(dtype) for _ in "ab")
        for _ in range(4):
            start = time.perf_counter()
            product(a, b)
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def useful_flops(shape: Shape) -> dict[str, float]:
    """FLOPs of each phase of a step in which every answer has full length."""
    prompt, new, rows = shape.prompt_tokens, shape.new_tokens, shape.responses
    hidden, inner = shape.hidden, shape.hidden * 8 // 3
    weights = shape.layers * (4 * hidden**2 + 3 * hidden * inner)
    # The last response token is predicted and never read; token n attends to n tokens in two products.
    read = prompt + new - 1
    trunk = rows * (2 * weights * read + shape.layers * 2 * hidden * read * (read + 1))
    head = rows * 2 * hidden * shape.vocabulary * new
    scored = prompt + new
    return {
        "rollout": trunk + head,
        "score": rows * (2 * weights * scored + shape.layers * 2 * hidden * scored * (scored + 1)),
        "reference": 2 * trunk + head,
        "update": shape.epochs * 3 * (2 * trunk + head),
    }


def tokens(shape: Shape) -> dict[str, int]:
    """Tokens of each phase: written in the rollout; in the others prompts and answers, once per pass of a model."""
    both = shape.responses * (shape.prompt_tokens + shape.new_tokens)
    return {
        "rollout": shape.responses * shape.new_tokens,
        "score": both,
        "reference": 2 * both,
        "update": 2 * both * shape.epochs,
    }


def measure(shape: Shape, ours: Ours) -> dict[str, Any]:
    """Seconds, tokens per second and share of the peak, by phase."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(shape, Path(folder), ours)
        steps = [trainer.step(step) for step in range(1, shape.steps + 1)]
    peak = peak_flops(shape.torch_dtype())
    useful, count = useful_flops(shape), tokens(shape)
    phases: dict[str, dict[str, float]] = {}
    for name in useful:
        seconds = statistics.median(step[f"time/{name}_s"] for step in steps[1:])
        phases[name] = {
            "seconds": seconds,
            "tokens_per_s": count[name] / seconds,
            "gflops": useful[name] / seconds / 1e9,
            "share_of_peak": useful[name] / seconds / peak,
        }
    return {"shape": json.loads(shape.to_json()), "peak_gflops": peak / 1e9, "phases": phases}


def show(found: dict[str, Any]) -> None:
    table = Table(title=f"Phases of a PPO step; peak {found['peak_gflops']:.0f} GFLOP/s")
    for name in ("phase", "seconds", "tokens/s", "GFLOP/s", "of the peak"):
        table.add_column(name)
    for name, row in found["phases"].items():
        table.add_row(
            name, f"{row['seconds']:.2f}", f"{row['tokens_per_s']:,.0f}", f"{row['gflops']:.0f}",
            f"{row['share_of_peak']:.0%}",
        )  # fmt: skip
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    sizes = ("responses", "prompt_tokens", "new_tokens", "epochs", "vocabulary", "hidden", "layers")
    defaults = Shape(responses=16, epochs=1)
    for name in sizes:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    o = parser.parse_args()
    shape = Shape(dtype=o.dtype, **{name: getattr(o, name) for name in sizes})
    found = measure(shape, Ours(compile=o.compile))
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/ppo_phases.py", *sys.argv[1:]]), found)
    print(json.dumps(found, indent=2)) if o.json else show(found)


if __name__ == "__main__":
    main()
