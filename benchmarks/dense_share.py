"""CPU seconds of dense advantages, as a share of the least that a training step of the same answers can take.

    python benchmarks/dense_share.py [--answers 512] [--tokens 2048] [--hidden 288] [--layers 6] [--record NAME]

The step is bounded from below: one forward and backward pass of the policy alone over the answers, measured on a few
of them and multiplied. Sampling, scoring, reference and further epochs, which a step has as well, count nothing. One
thread; the best of several rounds in turn.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from ppo_shape import Shape, make_policy
from recorded import best, record
from rich.console import Console

from spanwise.rl.algorithms import dense_advantages

MEASURED, GROUP = 2, 8
"""Answers of the pass that is measured, and of a group."""


def batch(answers: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards on every tenth token or so, answers of a half to all of the tokens, and groups."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(tokens // 2, tokens + 1, (answers, 1), generator=generator)
    mask = torch.arange(tokens) < lengths
    rewards = torch.randn(answers, tokens, generator=generator)
    rewards *= (torch.rand(answers, tokens, generator=generator) < 0.1) & mask
    return rewards, mask, torch.arange(answers) // GROUP


def pass_of(shape: Shape) -> Callable[[], object]:
    """One forward and backward pass over MEASURED answers."""
    model = make_policy(shape).train()
    ids = torch.randint(4, shape.vocabulary, (MEASURED, shape.new_tokens), generator=torch.Generator().manual_seed(1))

    def run() -> None:
        model.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()

    return run


def measure(shape: Shape, answers: int, rounds: int) -> dict[str, Any]:
    rewards, mask, groups = batch(answers, shape.new_tokens)
    ways: dict[str, Callable[[], object]] = {
        f"{estimator} {match}": lambda estimator=estimator, match=match: dense_advantages(
            rewards, mask, groups, estimator=estimator, match=match, gamma=0.99
        )
        for estimator in ("grpo", "rloo")
        for match in ("position", "relative")
    }
    seconds = best({"pass": pass_of(shape), **ways}, rounds)
    step = seconds.pop("pass") * answers / MEASURED
    shares = {name: value / step for name, value in seconds.items()}
    return {"answers": answers, "tokens": shape.new_tokens, "step_s": step, "seconds": seconds, "shares": shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    numbers = {"answers": 512, "tokens": 2048, "rounds": 3, "hidden": 288, "layers": 6}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    torch.set_num_threads(1)
    shape = Shape(dtype="fp32", prompt_tokens=8, new_tokens=o.tokens, vocabulary=500, hidden=o.hidden, layers=o.layers)
    found = measure(shape, o.answers, o.rounds)
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/dense_share.py", *sys.argv[1:]]), found)
    if o.json:
        Console().print_json(json.dumps(found))
        return
    Console().print(f"a step takes at least {found['step_s']:.0f} s")
    for name, share in found["shares"].items():
        Console().print(f"{name}: {found['seconds'][name]:.3f} s, {share:.2%}")


if __name__ == "__main__":
    main()
