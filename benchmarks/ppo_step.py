"""Seconds and memory of a PPO step with separate policy, reference, value and reward models; beside TRL's on request.

    python benchmarks/ppo_step.py --dtype bf16|fp32 --lengths full|natural [--peer trl] [--json] [--record NAME]

A random Llama of 15 million parameters, 64 prompts of 128 tokens, 128 new tokens, 4 epochs of one minibatch in
micro-batches of 16 (`ppo_shape.py`; other sizes by options). Each side runs in a process of its own, one after the
other; the first step warms up, the median of the others counts. Seconds are of the clock; `cpu_s` are seconds of the
processor, which say more on a machine with other work. `--compile`, `--value-backbone policy`, `--lora-rank` and
`--micro-batch-tokens` change our side only; gradients are the same for every micro-batch. The peer's environment is
made on first use, in the user's cache folder ($XDG_CACHE_HOME or ~/.cache).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from ppo_shape import LEARNING_RATE, Shape, make_policy, make_prompts, make_tokenizer
from recorded import record
from rich.console import Console
from rich.table import Table
from transformers import LlamaForSequenceClassification, PreTrainedTokenizerBase

from spanwise.core import LoraConfig, RunFolder
from spanwise.feedback import PromptRecord, RewardSource, Sample, SegmentScore, SegmentScores, build_prompt
from spanwise.models import Policy
from spanwise.models.cpu import use_products_on_cpu
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight
from spanwise.rl import AlgorithmName, RolloutConfig, Trainer, TrainerConfig, TrainerParts, UpdateConfig
from spanwise.rl.algorithms import make_algorithm
from spanwise.text import Span
from spanwise.training import keep_freed_memory

HERE = Path(__file__).parent
PEERS = {"trl": ("trl_ppo_step.py", ["trl==1.12.0", f"torch=={torch.__version__.partition('+')[0]}", "numpy"])}


@dataclass(frozen=True)
class Ours:
    """What is ours to choose and does not change the task."""

    compile: bool = False
    value_backbone: str = "own"
    lora_rank: int = 0
    micro_batch_tokens: int = 0


class RandomReward:
    """A model of the policy's size that reads prompt and response and scores the whole."""

    name, category, density, version = "random", "preference", "sequence", "1"

    def __init__(self, shape: Shape, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = LlamaForSequenceClassification(shape.config(num_labels=1)).to(shape.torch_dtype()).eval()
        use_products_on_cpu(self._model)  # as `SpanRewardModel` does with its backbone
        self._tokenizer = tokenizer

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per response."""
        texts = [f"{build_prompt(sample.prompt)} {sample.response}" for sample in samples]
        with torch.inference_mode():
            batch = self._tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
            values = self._model(**batch).logits[:, 0].float().tolist()
        return [
            SegmentScores((SegmentScore(Span(0, len(sample.response)), value),) if sample.response else ())
            for sample, value in zip(samples, values, strict=True)
        ]


def prompt_records(shape: Shape, tokenizer: PreTrainedTokenizerBase) -> list[PromptRecord]:
    """Prompts that are as long as the shape says with the words that `build_prompt` puts around them."""
    around = len(tokenizer(build_prompt("t4")).input_ids) - 1
    rows = make_prompts(shape)
    return [
        PromptRecord(id=str(i), prompt=" ".join(f"t{id_}" for id_ in row[around:] or row[:1]))
        for i, row in enumerate(rows)
    ]


def make_trainer(
    shape: Shape,
    folder: Path,
    ours: Ours,
    *,
    policy: Policy | None = None,
    sources: Sequence[RewardSource] = (),
    algorithm: AlgorithmName = "ppo",
) -> Trainer:
    """A trainer on the shape's models and prompts, or on a policy and reward sources of the caller's."""
    tokenizer = make_tokenizer(shape)
    prompts = prompt_records(shape, tokenizer)
    sources = sources or [RandomReward(shape, tokenizer)]
    config = TrainerConfig(
        algorithm=algorithm,
        steps=shape.steps,
        value_warmup_steps=0,
        policy_optimizer={"learning_rate": LEARNING_RATE},
        value_optimizer={"learning_rate": LEARNING_RATE},
        value_backbone="policy" if ours.value_backbone == "policy" else "own",
        compile=ours.compile,
        lora=LoraConfig(rank=ours.lora_rank) if ours.lora_rank else None,
        rollout=RolloutConfig(
            prompts_per_step=shape.responses, samples_per_prompt=1, max_prompt_tokens=shape.prompt_tokens
        ),
        sampling={"max_new_tokens": shape.new_tokens},
        update=UpdateConfig(
            epochs=shape.epochs,
            micro_batch_size=shape.micro_batch,
            micro_batch_tokens=ours.micro_batch_tokens or None,
        ),
    )
    parts = TrainerParts(
        policy=policy or Policy(make_policy(shape), tokenizer),
        pipeline=RewardPipeline(sources, MixtureConfig(sources={source.name: SourceWeight() for source in sources})),
        prompts=prompts,
        heldout=prompts[:1],
        algorithm=make_algorithm(config),
    )
    return Trainer(config, parts, RunFolder(folder))


def measure(shape: Shape, ours: Ours) -> dict[str, Any]:
    """Our steps in this process."""
    start_gb = resident_gb()
    keep_freed_memory(
        torch.device("cpu")
    )  # as `spanwise rl` does before it multiplies anything; here models are made first
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(shape, Path(folder), ours)
        steps: list[dict[str, float]] = []
        for step in range(1, shape.steps + 1):
            start, busy = time.perf_counter(), time.process_time()
            metrics = trainer.step(step)
            took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
            steps.append(metrics | took)
    phases = ("rollout", "text", "score", "reference", "update")
    return {
        "seconds": [step["seconds"] for step in steps],
        "cpu_seconds": [step["cpu_seconds"] for step in steps],
        "start_gb": start_gb,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "phases": {name: statistics.median(step[f"time/{name}_s"] for step in steps[1:]) for name in phases},
        "tokens_per_response": statistics.fmean(step["response/length"] for step in steps),
    }


def resident_gb() -> float:
    """What this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9


def in_process(program: Sequence[str]) -> dict[str, Any]:
    """Runs a side by itself and reads the last line that it prints."""
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program[1]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def peer_python(peer: str) -> str:
    """The interpreter of the peer's environment, which is made if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "spanwise" / "peers" / PEERS[peer][1][0]
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS[peer][1]], check=True)
        (folder / "complete").touch()
    return str(python)


def our_side(shape: Shape, ours: Ours) -> dict[str, Any]:
    """`measure` in a process of its own."""
    return in_process([sys.executable, __file__, "--side", shape.to_json(), json.dumps(asdict(ours))])


def results(shape: Shape, choice: Ours, peer: str | None) -> dict[str, Any]:
    """Both sides, one after the other."""
    ours = our_side(shape, choice)
    found: dict[str, Any] = {
        "shape": json.loads(shape.to_json()),
        "ours": asdict(choice),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ours_s": statistics.median(ours["seconds"][1:]),
        "ours_cpu_s": statistics.median(ours["cpu_seconds"][1:]),
        "ours_peak_gb": ours["peak_gb"],
        "phases": ours["phases"],
        "tokens_per_response": ours["tokens_per_response"],
    }
    if peer is not None:
        theirs = in_process([peer_python(peer), str(HERE / "peers" / PEERS[peer][0]), shape.to_json()])
        seconds = statistics.median(theirs["seconds"][1:])
        found |= {
            "peer": PEERS[peer][1][0],
            "peer_s": seconds,
            "peer_cpu_s": statistics.median(theirs["cpu_seconds"][1:]),
            "peer_peak_gb": theirs["peak_gb"],
            "peer_tokens_per_response": theirs["tokens"],
            "ratio": seconds / found["ours_s"],
        }
    return found


def show(found: dict[str, Any]) -> None:
    table = Table(title=f"A PPO step, {found['shape']['dtype']}, {found['shape']['lengths']} length")
    for name in ("", "seconds", "peak GB"):
        table.add_column(name)
    table.add_row("Spanwise", f"{found['ours_s']:.2f}", f"{found['ours_peak_gb']:.2f}")
    if "peer" in found:
        table.add_row(found["peer"], f"{found['peer_s']:.2f}", f"{found['peer_peak_gb']:.2f}")
        table.caption = f"{found['ratio']:.2f} times as fast"
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["phases"].items()))


def main() -> None:
    if sys.argv[1:2] == ["--side"]:
        print(json.dumps(measure(Shape(**json.loads(sys.argv[2])), Ours(**json.loads(sys.argv[3])))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--lengths", choices=("full", "natural"), default="full")
    parser.add_argument("--peer", choices=tuple(PEERS))
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--record", metavar="NAME", help="write benchmarks/results/NAME.json as well")
    parser.add_argument("--compile", action="store_true", help="ours: compile what whole responses are read with")
    parser.add_argument("--value-backbone", choices=("own", "policy"), default="own", help="ours: what values read")
    parser.add_argument("--lora-rank", type=int, default=0, help="ours: adapters of this rank on one backbone")
    parser.add_argument("--micro-batch-tokens", type=int, default=0, help="ours: tokens read at a time, at most")
    for field in fields(Shape):
        if isinstance(field.default, int):
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    options = vars(parser.parse_args())
    peer, as_json, name = options.pop("peer"), options.pop("json"), options.pop("record")
    choice = Ours(**{field.name: options.pop(field.name) for field in fields(Ours)})
    if options["steps"] < 2:
        parser.error("--steps must be at least 2: the first step warms up")
    found = results(Shape(**options), choice, peer)
    if name:
        record(name, " ".join(["python", "benchmarks/ppo_step.py", *sys.argv[1:]]), found)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
