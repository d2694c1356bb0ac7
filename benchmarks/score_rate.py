"""Answers per CPU second of `spanwise score`, beside `spanwise reward score` as it was before answers were sorted.

    python benchmarks/score_rate.py [--answers 2048] [--hidden 192] [--layers 4] [--json] [--record NAME]

A random reward model with three heads judges made-up answers: "mixed" are answers to prompts of their own, whose
lengths are log-normal, as those of people are; "grouped" are four answers of like length to each prompt, in any order.
Before, answers were sorted by their tokens, so that those to one prompt stood together, and read 32 at a time whatever
their length. CPU seconds of one thread, the best of several rounds in turn; both ways end with everything written:
JSON lines before, Parquet now. The peak of memory is that of `spanwise score` on a file ten times as long.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ppo_shape import Shape, make_tokenizer
from recorded import record
from reward_path import heads, make_model
from rich.console import Console

from spanwise.feedback import Sample, SegmentScores
from spanwise.reward_models.data import EncodedResponse
from spanwise.rewards import LearnedRewards, MixtureConfig, ScoreConfig, Shard, SourceWeight, shards

AT_ONCE = 32


def answers(kind: str, count: int) -> list[dict[str, Any]]:
    """Lines of a file to score."""
    generator = np.random.default_rng(0)

    def words(number: int) -> str:
        ids = generator.integers(4, 500, size=number)
        return " ".join(f"t{id_}" + "." * (place % 10 == 9) for place, id_ in enumerate(ids))

    if kind == "mixed":
        lengths = np.clip(np.exp(generator.normal(4.0, 0.8, size=count)), 5, 450).astype(int)
        return [{"prompt": words(12), "response": words(int(length))} for length in lengths]
    lines = [{"prompt": prompt, "response": words(60)} for prompt in map(words, [120] * (count // 4)) for _ in range(4)]
    return [lines[int(position)] for position in generator.permutation(len(lines))]


def before(rewards: LearnedRewards, lines: Sequence[dict[str, Any]], target: Path) -> None:
    """As `reward score` read answers: sorted by tokens, 32 at a time, one JSON line each."""
    samples = [Sample(line["prompt"], line["response"]) for line in lines]
    encoded = [item for item in rewards._encoder.encode(samples) if isinstance(item, EncodedResponse)]
    order = sorted(range(len(encoded)), key=lambda position: encoded[position].ids)
    scored: dict[int, dict[str, SegmentScores]] = {}
    for start in range(0, len(order), AT_ONCE):
        group = order[start : start + AT_ONCE]
        scored |= zip(group, rewards._forward([encoded[position] for position in group]), strict=True)
    with target.open("w") as stream:
        for position in range(len(samples)):
            plain = {
                name: [(score.span.start, score.span.end, score.value) for score in said.scores]
                for name, said in scored[position].items()
            }
            stream.write(json.dumps(plain) + "\n")


def now(rewards: LearnedRewards, file: Path, target: Path) -> None:
    """`spanwise score` on the file, its model in memory already."""
    rewards._remembered = {}
    shards.configured_sources = lambda *_, **__: rewards.sources()
    mixture = MixtureConfig(sources={head.name: SourceWeight() for head in rewards.heads})
    config = ScoreConfig.from_values(
        {
            "responses": file,
            "output": target,
            "mixture": mixture.model_dump(),
            "reward_models": {"random": {"checkpoint": "in memory"}},
        },
        place="benchmark",
    )
    shards.score_shard(config, Shard(), begins=lambda _: None, advances=lambda _: None)


def best(ways: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    found = dict.fromkeys(ways, float("inf"))
    for number in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way(number)
            found[name] = min(found[name], time.process_time() - start)
    return found


def measure(kind: str, rewards: LearnedRewards, count: int, rounds: int, folder: Path) -> dict[str, Any]:
    lines = answers(kind, count)
    file = folder / f"{kind}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    seconds = best(
        {
            "before": lambda _: before(rewards, lines, folder / "before.jsonl"),
            "score": lambda number: now(rewards, file, folder / f"{kind}-{number}"),
        },
        rounds,
    )
    rates = {name: len(lines) / value for name, value in seconds.items()}
    return {"answers_per_second": rates, "ratio": rates["score"] / rates["before"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    for name, default in {"answers": 2048, "rounds": 3, "hidden": 192, "layers": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    torch.set_num_threads(1)
    shape = Shape(dtype="fp32", vocabulary=500, hidden=o.hidden, layers=o.layers)
    rewards = LearnedRewards(make_model(shape, heads(3)), make_tokenizer(shape))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {
            kind: measure(kind, rewards, o.answers, o.rounds, folder) for kind in ("mixed", "grouped")
        }
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        long = folder / "long.jsonl"
        long.write_text((folder / "mixed.jsonl").read_text() * 10)
        now(rewards, long, folder / "long")
        found["peak_growth"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / peak
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/score_rate.py", *sys.argv[1:]]), found)
    if o.json:
        Console().print_json(json.dumps(found))
        return
    for kind in ("mixed", "grouped"):
        rates = found[kind]["answers_per_second"]
        Console().print(f"{kind}: {rates['before']:.0f} answers a second before, {rates['score']:.0f} now")
    Console().print(f"memory on a file ten times as long: {found['peak_growth']:.2f} times")


if __name__ == "__main__":
    main()
